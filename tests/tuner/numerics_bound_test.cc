// A numerics class from end to end: a real artifact, the session's expected values, the worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <ostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "tests/support/avx2_target.h"
#include "tests/support/sketch_draws.h"
#include "tuner/measure/expected_values.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kConvolution[] =
    "workload/1\ninput x f32 [1,64,24,24]\nconstant w f32 [32,64,3,3]\n"
    "output y f32 [1,32,24,24]\n"
    "stage c f32 [n:1,o:32,h:24,w:24] sum [i:64,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:32,h:24,w:24] = max(c[n,o,h,w],0x0p+0)\n";

// A batch as the session makes it, without candidates; the reference is plain loops.
pb::Batch BatchOf(const Workload& workload, const std::vector<Layout>& layouts, Numerics numerics,
                  uint64_t seed) {
  const Target target = Avx2Target();
  const Schedule plain =
      *Schedule::Parse(absl::StrCat("schedule/1\n", BoundaryLayoutLines(workload, layouts)));
  const StatusOr<pb::Artifact> reference = Compile(workload, plain, target);
  EXPECT_TRUE(reference.ok()) << reference.status();
  const auto expected = ComputeExpectedValues(workload, reference->manifest(), numerics, seed,
                                              SamplePointsOf(workload));
  EXPECT_TRUE(expected.ok()) << expected.status();
  pb::Batch batch;
  batch.set_target(target.ToString());
  batch.set_numerics(std::string(NumericsName(numerics)));
  *batch.mutable_reference()->mutable_artifact() = *reference;
  batch.set_input_seed(seed);
  for (const pb::SamplePoint& sample : expected->samples) *batch.add_samples() = sample;
  batch.set_sequential_rms_error(expected->sequential_rms_error);
  batch.set_rms_error_max(expected->rms_error_max);
  *batch.mutable_tolerance() = ToleranceOf(workload, numerics);
  batch.set_timeout_ms(10000);
  return batch;
}

std::vector<pb::Measurement> Measure(const pb::Batch& batch) {
  ChildProcess::Options options;
  options.program = absl::StrCat(getenv("HONE_BIN_DIR"), "/hone-worker");
  ChildProcess worker = ChildProcess::Start(options).value();
  pb::MeasureRequest request;
  *request.mutable_batch() = batch;
  EXPECT_TRUE(WriteFrame(worker.socket(), request).ok());
  std::vector<pb::Measurement> measurements(batch.candidates_size());
  pb::MeasureReply reply;
  while (ReadFrame(worker.socket(), reply).value_or(false) && !reply.has_done()) {
    measurements.at(reply.candidate().index()) = reply.candidate().measurement();
  }
  EXPECT_EQ(reply.done().error(), "");
  return measurements;
}

// What the worker says of the convolution by these steps.
pb::Measurement MeasureSteps(absl::string_view steps, Numerics numerics) {
  const Workload workload = *Workload::Parse(kConvolution);
  const Schedule schedule = *Schedule::Parse(absl::StrCat("schedule/1\n", steps));
  const StatusOr<pb::Artifact> artifact = Compile(workload, schedule, Avx2Target());
  EXPECT_TRUE(artifact.ok()) << artifact.status();
  pb::Batch batch = BatchOf(workload, LayoutsOf(workload, {"", "", ""}), numerics, 11);
  *batch.add_candidates()->mutable_artifact() = *artifact;
  const pb::Measurement measurement = Measure(batch)[0];
  EXPECT_GT(measurement.error_ratio(), 0);
  return measurement;
}

// Winograd's F(tile x tile, 3 x 3), or the direct way for 0.
pb::Measurement MeasureTile(int tile, Numerics numerics) {
  if (tile == 0) return MeasureSteps("", numerics);
  return MeasureSteps(absl::StrCat("winograd c h ", tile, "\nwinograd c.m w ", tile, "\n"),
                      numerics);
}

TEST(NumericsBoundTest, TheDirectWayIsGoodEnoughForEveryClass) {
  for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    const pb::Measurement measurement = MeasureTile(0, numerics);
    EXPECT_EQ(measurement.failure(), pb::OK) << measurement.message();
    EXPECT_LT(measurement.error_ratio(), 1.2);
  }
}

TEST(NumericsBoundTest, LargeTilesAreRefusedInClassFp32HoweverFast) {
  const pb::Measurement small = MeasureTile(2, Numerics::kFp32);
  EXPECT_EQ(small.failure(), pb::OK) << small.message();
  EXPECT_LT(small.error_ratio(), 4);

  const pb::Measurement large = MeasureTile(6, Numerics::kFp32);
  EXPECT_EQ(large.failure(), pb::INCORRECT);
  EXPECT_THAT(large.message(), HasSubstr("times that of sequential fp32; class fp32 allows 4"));
  EXPECT_GT(large.error_ratio(), 4);

  const pb::Measurement allowed = MeasureTile(4, Numerics::kFast);
  EXPECT_EQ(allowed.failure(), pb::OK) << allowed.message();
  EXPECT_LT(allowed.error_ratio(), 64);
}

TEST(NumericsBoundTest, SplitProductsAreAsExactAsTheirTermsSay) {
  const auto split = [](int terms, Numerics numerics) {
    return MeasureSteps(absl::StrCat("split c ", terms, "\nprepare w@c\n"), numerics);
  };
  const pb::Measurement six = split(6, Numerics::kFp32);
  EXPECT_EQ(six.failure(), pb::OK) << six.message();
  EXPECT_LT(six.error_ratio(), 2);

  EXPECT_EQ(split(3, Numerics::kFp32).failure(), pb::INCORRECT);
  const pb::Measurement three = split(3, Numerics::kFast);
  EXPECT_EQ(three.failure(), pb::OK) << three.message();

  EXPECT_EQ(split(1, Numerics::kFast).failure(), pb::INCORRECT);
  const pb::Measurement one = split(1, Numerics::kBf16);
  EXPECT_EQ(one.failure(), pb::OK) << one.message();
  EXPECT_GT(one.rms_error(), 5e-4);
}

TEST(NumericsBoundTest, ClassBf16RefusesWhatRoundsMoreThanBf16) {
  const Workload workload = *Workload::Parse(kConvolution);
  // Once more rounded than the class allows: what is summed is bf16 too.
  std::string rounded = kConvolution;
  const size_t at = rounded.find("max(c[n,o,h,w]");
  rounded.replace(at, 14, "max(f32(bf16(c[n,o,h,w]*0x1.04p+0))");
  const StatusOr<pb::Artifact> artifact =
      Compile(*Workload::Parse(rounded), Schedule(), Avx2Target());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  pb::Batch batch = BatchOf(workload, LayoutsOf(workload, {"", "", ""}), Numerics::kBf16, 11);
  *batch.add_candidates()->mutable_artifact() = *artifact;
  const pb::Measurement measurement = Measure(batch)[0];
  EXPECT_EQ(measurement.failure(), pb::INCORRECT);
}

struct Case {
  const char* name;
  const char* workload;
  std::vector<const char*> layouts;  // one a buffer; "" is the identity
};

const Case kCases[] = {
    {"convolution",
     "workload/1\ninput x f32 [1,32,14,14]\nconstant w f32 [32,32,3,3]\n"
     "output y f32 [1,32,14,14]\nstage c f32 [n:1,o:32,h:14,w:14] sum [i:32,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:32,h:14,w:14] = max(c[n,o,h,w],0x0p+0)\n",
     {"0,1/8,2,3,1%8", "", "0,1/8,2,3,1%8"}},
    {"depthwise",
     "workload/1\ninput x f32 [1,16,12,12]\nconstant w f32 [16,3,3]\n"
     "output y f32 [1,16,12,12]\nstage c f32 [n:1,c:16,h:12,w:12] sum [p:3,q:3] = "
     "x[n,c,h+p+-1,w+q+-1 else 0x0p+0]*w[c,p,q]\n"
     "stage y f32 [n:1,c:16,h:12,w:12] = max(c[n,c,h,w],0x0p+0)\n",
     {"0,1/8,2,3,1%8", "", "0,1/8,2,3,1%8"}},
    {"two_products",
     "workload/1\ninput a f32 [24,2]\nconstant w f32 [2,24]\noutput y f32 [24,24]\n"
     "stage y f32 [m:24,n:24] sum [k:2] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"dense",
     "workload/1\ninput x f32 [1,700]\nconstant w f32 [40,700]\noutput y f32 [1,40]\n"
     "stage y f32 [m:1,n:40] sum [k:700] = x[m,k]*w[n,k]\n",
     {"", "", ""}},
    {"softmax",
     "workload/1\ninput x f32 [40,90]\noutput y f32 [40,90]\n"
     "stage top f32 [m:40] max [k:90] = x[m,k]\n"
     "stage e f32 [m:40,n:90] = exp(x[m,n]-top[m])\n"
     "stage total f32 [m:40] sum [k:90] = e[m,k]\n"
     "stage y f32 [m:40,n:90] = e[m,n]/total[m]\n",
     {"", ""}},
    {"layer_norm",
     "workload/1\ninput x f32 [48,96]\nconstant g f32 [96]\noutput y f32 [48,96]\n"
     "stage s f32 [m:48] sum [k:96] = x[m,k]\n"
     "stage d f32 [m:48,n:96] = x[m,n]-s[m]*0x1.555556p-7\n"
     "stage v f32 [m:48] sum [k:96] = d[m,k]*d[m,k]\n"
     "stage y f32 [m:48,n:96] = d[m,n]/sqrt(v[m]*0x1.555556p-7+0x1p-16)*g[n]\n",
     {"", "", ""}},
    {"attention",
     "workload/1\ninput q f32 [35,8]\ninput k f32 [8,48]\ninput v f32 [48,8]\n"
     "output y f32 [35,8]\nstage s f32 [m:35,n:48] sum [d:8] = q[m,d]*k[d,n]\n"
     "stage top f32 [m:35] max [n:48] = s[m,n]\n"
     "stage e f32 [m:35,n:48] = exp(s[m,n]-top[m])\n"
     "stage total f32 [m:35] sum [n:48] = e[m,n]\n"
     "stage p f32 [m:35,n:48] = e[m,n]/total[m]\n"
     "stage y f32 [m:35,d:8] sum [n:48] = p[m,n]*v[n,d]\n",
     {"", "", "", ""}},
    {"gelu",
     "workload/1\ninput x f32 [64,48]\noutput y f32 [64,48]\n"
     "stage y f32 [m:64,n:48] = x[m,n]*0x1p-1*(erf(x[m,n]*0x1.6a09e6p-1)+0x1p+0)\n",
     {"", ""}},
    {"transpose",
     "workload/1\ninput x f32 [24,40]\noutput y f32 [40,24]\nstage y f32 [m:40,n:24] = x[n,m]\n",
     {"", ""}},
    {"max_pool",
     "workload/1\ninput x f32 [1,8,14,14]\noutput y f32 [1,8,7,7]\n"
     "stage y f32 [n:1,c:8,h:7,w:7] max [p:3,q:3] = x[n,c,h*2+p+-1,w*2+q+-1 else -inf]\n",
     {"", ""}},
};

// gtest prints the parameter of a failed test.
void PrintTo(const Case& c, std::ostream* os) { *os << c.workload; }

class HonestKernelsTest : public testing::TestWithParam<Case> {};

// A candidate of every sketch, on several inputs: the strictest class refuses none.
TEST_P(HonestKernelsTest, AreNeverRefused) {
  const Workload workload = *Workload::Parse(GetParam().workload);
  const Target target = Avx2Target();
  const std::vector<Layout> layouts = LayoutsOf(workload, GetParam().layouts);
  const auto sketches = DeriveSketches(workload, layouts, target, Numerics::kStrict);
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  std::mt19937_64 random(1);
  std::vector<pb::Candidate> candidates;
  for (const Sketch& sketch : *sketches) {
    for (int draw = 0; draw < 200; ++draw) {
      const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
      if (!assignment) continue;
      const Schedule schedule = *sketch.Instantiate(*assignment);
      StatusOr<pb::Artifact> artifact = Compile(workload, schedule, target);
      if (!artifact.ok()) continue;
      pb::Candidate candidate;
      candidate.set_schedule(schedule.ToString());
      *candidate.mutable_artifact() = *std::move(artifact);
      candidates.push_back(std::move(candidate));
      break;
    }
  }
  ASSERT_FALSE(candidates.empty());
  double largest = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    pb::Batch batch = BatchOf(workload, layouts, Numerics::kStrict, seed);
    EXPECT_GT(batch.rms_error_max(), 0);
    for (const pb::Candidate& candidate : candidates) *batch.add_candidates() = candidate;
    const std::vector<pb::Measurement> measurements = Measure(batch);
    for (size_t c = 0; c < candidates.size(); ++c) {
      EXPECT_EQ(measurements[c].failure(), pb::OK)
          << "seed " << seed << ": " << measurements[c].message() << "\n"
          << candidates[c].schedule();
      largest = std::max(largest, measurements[c].rms_error() / batch.rms_error_max());
    }
  }
  RecordProperty("largest_share_of_bound", absl::StrCat(largest));
}

INSTANTIATE_TEST_SUITE_P(Cases, HonestKernelsTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hone
