#include "cli/record_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/kernel_caption.h"
#include "db/memory_record_store.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kMatmul[] =
    "workload/1\n"
    "input a f32 [64,32]\n"
    "constant b f32 [32,16]\n"
    "output c f32 [64,16]\n"
    "stage c f32 [m:64,n:16] sum [k:32] = a[m,k]*b[k,n]\n";
constexpr char kTarget[] =
    "target/1 x86_64 cpu=znver3 features=avx2,fma l1=32768 l2=524288 l3=0 cores=2 threads=2";

pb::Record MatmulRecord(double cost_ns, pb::FailureKind failure) {
  pb::Record record;
  record.set_workload(kMatmul);
  record.set_workload_key("cafe0123456789");
  record.set_target(kTarget);
  record.set_numerics("fp32");
  record.set_schedule("schedule/1\ntile m 8\n");
  record.set_origin("model");
  record.mutable_measurement()->set_cost_ns(cost_ns);
  record.mutable_measurement()->set_failure(failure);
  record.mutable_measurement()->set_peak_gflops(100);
  record.mutable_measurement()->set_device("desk");
  record.mutable_measurement()->set_unix_ms(1'795'183'380'000);
  return record;
}

class RecordReportTest : public testing::Test {
 protected:
  RecordReportTest() {
    EXPECT_TRUE(store_
                    .Append({MatmulRecord(4096, pb::OK), MatmulRecord(0, pb::CRASH),
                             MatmulRecord(1024, pb::OK)})
                    .ok());
  }
  MemoryRecordStore store_;
};

TEST_F(RecordReportTest, ShowsTheBestOfEachKernel) {
  EXPECT_EQ(*RecordOverview(store_, {}),
            "kernel                  target             class  trials  failed     best  GFLOP/s"
            "  of peak  score  latest            key\n"
            "-----------------------------------------------------------------------------------"
            "-------------------------------------------\n"
            "64x32 * 32x16 -> 64x16  znver3, 2 threads  fp32        3       1  1.02 us     64.0"
            "   32.0 %     23  2026-11-20 14:03  cafe0123\n"
            "\n"
            "1 kernel, 3 measurements. Next: hone records --kernel KEY, or hone compile\n");
}

TEST_F(RecordReportTest, LeavesOutWhatScoresLess) {
  EXPECT_THAT(*RecordOverview(store_, {.min_score = 23}), HasSubstr("1 kernel, 3 measurements"));
  EXPECT_THAT(*RecordOverview(store_, {.min_score = 24}), HasSubstr("0 kernels, 0 measurements"));
  EXPECT_THAT(*RecordDetails(store_, "cafe", 9, {}),
              HasSubstr("reproducibility 23 of 100: measured 1 time on 1 device, 0.0 % of it in "
                        "quiet\n"));
}

TEST_F(RecordReportTest, ShowsOneKernelBestFirstFailuresLast) {
  std::string report = *RecordDetails(store_, "cafe", 2, {});
  EXPECT_THAT(report, HasSubstr("\n  tile m 8\n"));
  EXPECT_LT(report.find("ok      1.02 us"), report.find("ok      4.10 us"));
  EXPECT_THAT(report, HasSubstr("and 1 more"));
  EXPECT_THAT(*RecordDetails(store_, "cafe", 9, {}), HasSubstr("CRASH"));
}

TEST_F(RecordReportTest, ShowsTheErrorBesideTheClassAndOneClassWhereThatIsAskedFor) {
  pb::Record record = MatmulRecord(512, pb::OK);
  record.set_numerics("fast");
  record.mutable_measurement()->set_rms_error(3e-6);
  record.mutable_measurement()->set_error_ratio(12.34);
  EXPECT_TRUE(store_.Append({record}).ok());
  const std::string all = *RecordDetails(store_, "cafe", 9, {});
  EXPECT_THAT(all, HasSubstr("best on znver3, 2 threads (fast, error 12.34x): "));
  EXPECT_THAT(all, HasSubstr("best on znver3, 2 threads (fp32): "));
  const std::string fast = *RecordDetails(store_, "cafe", 9, {.numerics = Numerics::kFast});
  EXPECT_THAT(fast, testing::Not(HasSubstr("fp32")));
  EXPECT_THAT(*RecordOverview(store_, {.numerics = Numerics::kFast}),
              HasSubstr("1 kernel, 1 measurements"));
}

TEST_F(RecordReportTest, SaysWhatWasNotAsUsual) {
  pb::Record record = MatmulRecord(512, pb::OK);
  record.mutable_measurement()->set_not_quiet(true);
  record.mutable_measurement()->set_cold_constants(true);
  EXPECT_TRUE(store_.Append({record}).ok());
  EXPECT_THAT(*RecordDetails(store_, "cafe", 9, {}),
              HasSubstr("constants from memory, beside other work"));
}

TEST_F(RecordReportTest, ShowsWhereTheMedianLies) {
  pb::Record record = MatmulRecord(512, pb::OK);
  record.mutable_measurement()->set_low_ns(12500);
  record.mutable_measurement()->set_high_ns(13500);
  EXPECT_TRUE(store_.Append({record}).ok());
  EXPECT_THAT(*RecordDetails(store_, "cafe", 9, {}), HasSubstr("12.5 us to 13.5 us"));
}

TEST_F(RecordReportTest, SaysWhyARecordDoesNotCount) {
  pb::Record record = MatmulRecord(512, pb::OK);
  record.mutable_measurement()->set_taint("throttled");
  EXPECT_TRUE(store_.Append({record}).ok());
  EXPECT_THAT(*RecordDetails(store_, "cafe", 9, {}), HasSubstr("does not count: throttled"));
}

TEST_F(RecordReportTest, SaysWhereKeysAreListed) {
  Status status = RecordDetails(store_, "beef", 2, {}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("hone records lists them"));
}

TEST(RecordOverviewTest, PointsTheWayWhenThereIsNothing) {
  EXPECT_EQ(*RecordOverview(MemoryRecordStore(), {.width = 80}),
            "no records yet. Next: hone tune MODEL.onnx\n");
}

TEST(KernelCaptionTest, NamesAnUnreadableWorkloadByItsDigest) {
  EXPECT_EQ(KernelCaption("workload/9 of the future"),
            "workload " + KernelCaption("workload/9 of the future").substr(9, 12));
}

}  // namespace
}  // namespace hone
