// A numerics class from end to end: a real artifact, the session's expected values, the worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "tuner/measure/expected_values.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kConvolution[] =
    "workload/1\ninput x f32 [1,64,24,24]\nconstant w f32 [32,64,3,3]\n"
    "output y f32 [1,32,24,24]\n"
    "stage c f32 [n:1,o:32,h:24,w:24] sum [i:64,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:32,h:24,w:24] = max(c[n,o,h,w],0x0p+0)\n";

// What the worker says of Winograd's F(tile x tile, 3 x 3), or of the direct way for 0.
pb::Measurement Measure(int tile, Numerics numerics) {
  const Workload workload = *Workload::Parse(kConvolution);
  const Target target = *Target::Parse(
      "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=2 threads=1");
  Schedule schedule;
  if (tile > 0) {
    schedule = *Schedule::Parse(
        absl::StrCat("schedule/1\nwinograd c h ", tile, "\nwinograd c.m w ", tile, "\n"));
  }
  const StatusOr<pb::Artifact> direct = Compile(workload, Schedule{}, target);
  const StatusOr<pb::Artifact> artifact = Compile(workload, schedule, target);
  EXPECT_TRUE(direct.ok() && artifact.ok()) << direct.status() << artifact.status();
  constexpr uint64_t kSeed = 11;
  const auto expected = ComputeExpectedValues(workload, direct->manifest(), numerics, kSeed,
                                              SamplePointsOf(workload));
  EXPECT_TRUE(expected.ok()) << expected.status();
  pb::MeasureRequest request;
  pb::Batch& batch = *request.mutable_batch();
  batch.set_target(target.ToString());
  batch.set_numerics(std::string(NumericsName(numerics)));
  *batch.add_candidates()->mutable_artifact() = *artifact;
  *batch.mutable_reference()->mutable_artifact() = *direct;
  batch.set_input_seed(kSeed);
  for (const pb::SamplePoint& sample : expected->samples) *batch.add_samples() = sample;
  batch.set_sequential_rms_error(expected->sequential_rms_error);
  batch.set_rms_error_max(expected->rms_error_max);
  *batch.mutable_tolerance() = ToleranceOf(workload, numerics);
  batch.set_timeout_ms(10000);

  ChildProcess::Options options;
  options.program = absl::StrCat(getenv("HONE_BIN_DIR"), "/hone-worker");
  ChildProcess worker = ChildProcess::Start(options).value();
  EXPECT_TRUE(WriteFrame(worker.socket(), request).ok());
  pb::Measurement measurement;
  pb::MeasureReply reply;
  while (ReadFrame(worker.socket(), reply).value_or(false) && !reply.has_done()) {
    measurement = reply.candidate().measurement();
  }
  EXPECT_EQ(reply.done().error(), "");
  EXPECT_GT(measurement.error_ratio(), 0);
  return measurement;
}

TEST(NumericsBoundTest, TheDirectWayIsGoodEnoughForEveryClass) {
  for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    const pb::Measurement measurement = Measure(0, numerics);
    EXPECT_EQ(measurement.failure(), pb::OK) << measurement.message();
    EXPECT_LT(measurement.error_ratio(), 1.2);
  }
}

TEST(NumericsBoundTest, LargeTilesAreRefusedInClassFp32HoweverFast) {
  const pb::Measurement small = Measure(2, Numerics::kFp32);
  EXPECT_EQ(small.failure(), pb::OK) << small.message();
  EXPECT_LT(small.error_ratio(), 4);

  const pb::Measurement large = Measure(6, Numerics::kFp32);
  EXPECT_EQ(large.failure(), pb::INCORRECT);
  EXPECT_THAT(large.message(), HasSubstr("times that of sequential fp32; class fp32 allows 4"));
  EXPECT_GT(large.error_ratio(), 4);

  const pb::Measurement allowed = Measure(4, Numerics::kFast);
  EXPECT_EQ(allowed.failure(), pb::OK) << allowed.message();
  EXPECT_LT(allowed.error_ratio(), 64);
}

}  // namespace
}  // namespace hone
