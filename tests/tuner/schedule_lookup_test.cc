#include "tuner/transfer/schedule_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "db/memory_record_store.h"
#include "tests/support/avx2_target.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

// Of `m` by 64 by 64, what is done to each sum last.
PlanKernel Matmul(int m, const std::string& epilogue) {
  PlanKernel kernel;
  kernel.name = "matmul";
  kernel.workload = *Workload::Parse(absl::StrCat(
      "workload/1\ninput x f32 [", m, ",64]\nconstant w f32 [64,64]\noutput y f32 [", m,
      ",64]\nstage c f32 [m:", m, ",n:64] sum [k:64] = x[m,k]*w[k,n]\nstage y f32 [m:", m,
      ",n:64] = ", epilogue, "\n"));
  kernel.layouts.assign(3, Layout::Identity(2));
  return kernel;
}

const char* const kRelu = "max(c[m,n],0x0p+0)";
const char* const kTwice = "c[m,n]*0x1p+1";

std::vector<EstimatedCandidate> CandidatesOf(const PlanKernel& kernel) {
  return EstimateCandidates(kernel.workload,
                            *DeriveSketches(kernel.workload, kernel.layouts, Avx2Target()),
                            Avx2Target(), MachineProfile::For(Avx2Target()), 200);
}

class ScheduleLookupTest : public testing::Test {
 protected:
  static pb::Record RecordOf(const PlanKernel& kernel, const std::string& schedule, double cost_ns,
                             Numerics numerics = Numerics::kFp32) {
    pb::Record record;
    record.set_workload(kernel.workload.ToString());
    record.set_workload_key(kernel.workload.Key());
    record.set_target(Avx2Target().ToString());
    record.set_numerics(std::string(NumericsName(numerics)));
    record.set_codegen_epoch(kCodegenEpoch);
    record.set_layouts(BoundaryLayoutText(kernel.workload, kernel.layouts));
    record.set_schedule(schedule);
    record.mutable_measurement()->set_cost_ns(cost_ns);
    return record;
  }

  void Record(const PlanKernel& kernel, const std::string& schedule, double cost_ns,
              Numerics numerics = Numerics::kFp32) {
    ASSERT_TRUE(store_.Append({RecordOf(kernel, schedule, cost_ns, numerics)}).ok());
  }

  FoundSchedule Find(const PlanKernel& kernel, Numerics numerics = Numerics::kFp32) {
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
    return *ScheduleLookup(&store_, *model, Avx2Target(), numerics).Find(kernel);
  }

  MemoryRecordStore store_;
};

TEST_F(ScheduleLookupTest, GivesTheDefaultWhereNothingIsRecorded) {
  const PlanKernel kernel = Matmul(64, kRelu);
  const FoundSchedule found = Find(kernel);
  EXPECT_EQ(found.source, "default");
  EXPECT_EQ(found.schedule, CandidatesOf(kernel)[0].schedule);
  EXPECT_GT(found.expected_ns, 0);
  EXPECT_FALSE(found.measured);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  ScheduleLookup without_store(nullptr, *model, Avx2Target(), Numerics::kFp32);
  EXPECT_EQ(without_store.Find(kernel)->schedule, found.schedule);
}

// What a device has measured of itself is in the records of other kernels.
TEST_F(ScheduleLookupTest, ExpectsWhatTheDeviceWasMeasuredToDo) {
  const PlanKernel kernel = Matmul(64, kRelu);
  const double typical_ns = Find(kernel).expected_ns;
  pb::Record record = RecordOf(Matmul(8, kTwice), "schedule/1\n", 1000);
  record.mutable_speed()->set_peak_gflops(10 * MachineProfile::For(Avx2Target()).peak_gflops);
  ASSERT_TRUE(store_.Append({record}).ok());
  EXPECT_LT(Find(kernel).expected_ns, typical_ns / 4);
}

TEST_F(ScheduleLookupTest, GivesTheBestOfItsClassAndOfStricterOnes) {
  const PlanKernel kernel = Matmul(64, kRelu);
  Record(kernel, "schedule/1\ntile y m 4\n", 3000);
  EXPECT_EQ(Find(kernel).source, "tuned");
  EXPECT_EQ(Find(kernel).expected_ns, 3000);
  EXPECT_TRUE(Find(kernel).measured);
  Record(kernel, "schedule/1\ntile y m 8\n", 2000, Numerics::kStrict);
  Record(kernel, "schedule/1\ntile y m 16\n", 1000, Numerics::kFast);
  EXPECT_EQ(Find(kernel).source, "tuned, strict");
  EXPECT_EQ(Find(kernel).schedule, "schedule/1\ntile y m 8\n");
  EXPECT_EQ(Find(kernel, Numerics::kFast).expected_ns, 1000);
}

TEST_F(ScheduleLookupTest, TakesWhatWasBestForAnotherEpilogueIfTheModelBelievesIt) {
  const PlanKernel tuned = Matmul(64, kTwice);
  const std::vector<EstimatedCandidate> candidates = CandidatesOf(tuned);
  ASSERT_GT(candidates.size(), 60u);
  // The prior's favourites disappoint; those of larger tiles of the vector dimension do not.
  int best = -1;
  double best_ns = 1e12;
  for (int c = 0; c < static_cast<int>(candidates.size()); ++c) {
    const bool slow =
        candidates[c].facts.stages[0].vectors == candidates[0].facts.stages[0].vectors;
    const double cost_ns = candidates[c].cost.total_ns * (slow ? 6 : 1) + c;
    Record(tuned, candidates[c].schedule, cost_ns);
    if (cost_ns >= best_ns) continue;
    best = c;
    best_ns = cost_ns;
  }
  const PlanKernel kernel = Matmul(64, kRelu);
  const FoundSchedule found = Find(kernel);
  EXPECT_EQ(found.source, "epilogue");
  EXPECT_EQ(found.schedule, candidates[best].schedule);
  EXPECT_FALSE(found.measured);
}

}  // namespace
}  // namespace hone
