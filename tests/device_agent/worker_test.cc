// The measuring worker as the agent sees it: the program itself, batches in, results out.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "runtime/fill.h"
#include "runtime/tile_state.h"
#include "tests/device_agent/agent_batches.h"

namespace hone {
namespace {

using testing::HasSubstr;

struct Answer {
  std::vector<pb::Measurement> measurements;
  pb::MeasureDone done;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() : worker_(Start()) {}

  Answer Measure(const pb::Batch& batch) {
    pb::MeasureRequest request;
    *request.mutable_batch() = batch;
    EXPECT_TRUE(WriteFrame(worker_.socket(), request).ok());
    Answer answer;
    answer.measurements.resize(batch.candidates_size());
    std::vector<int> times_reported(batch.candidates_size());
    pb::MeasureReply reply;
    while (ReadFrame(worker_.socket(), reply).value_or(false)) {
      if (reply.has_done()) {
        answer.done = reply.done();
        break;
      }
      answer.measurements.at(reply.candidate().index()) = reply.candidate().measurement();
      ++times_reported.at(reply.candidate().index());
    }
    EXPECT_THAT(times_reported, testing::Each(1));
    return answer;
  }

 private:
  static ChildProcess Start() {
    ChildProcess::Options options;
    options.program = std::string(getenv("HONE_BIN_DIR")) + "/hone-worker";
    return ChildProcess::Start(options).value();
  }

  ChildProcess worker_;
};

void ExpectTimed(const pb::Measurement& measurement) {
  EXPECT_EQ(measurement.failure(), pb::OK) << measurement.message();
  EXPECT_GT(measurement.cost_ns(), 0);
  EXPECT_GE(measurement.median_ns(), measurement.cost_ns());
  EXPECT_GT(measurement.peak_gflops(), 0);
  EXPECT_GE(measurement.runs(), 1);
  EXPECT_EQ(measurement.compile_ns(), 5);
  EXPECT_GT(measurement.code_bytes(), 0);
  EXPECT_GT(measurement.unix_ms(), 0);
}

TEST_F(WorkerTest, TimesRightCandidatesAndTheReference) {
  const Answer answer = Measure(TestBatch({"good", "good"}));
  ExpectTimed(answer.measurements[0]);
  ExpectTimed(answer.measurements[1]);
  EXPECT_EQ(answer.done.error(), "");
  EXPECT_GT(answer.done.reference().cost_ns(), 0);
}

TEST_F(WorkerTest, StopsCandidatesThatAreClearlySlower) {
  const Answer answer = Measure(TestBatch({"good", "slow"}));
  ExpectTimed(answer.measurements[1]);
  EXPECT_TRUE(answer.measurements[1].raced_out());
  EXPECT_FALSE(answer.measurements[0].raced_out());
  EXPECT_GT(answer.measurements[1].cost_ns(), 10 * answer.measurements[0].cost_ns());
}

TEST_F(WorkerTest, RefusesKernelsForAMatrixUnitThatTheMachineLacks) {
  hone_error error = {};
  if (hone_tiles_permit(&error) == HONE_OK) GTEST_SKIP() << "this machine has a matrix unit";
  pb::Batch batch = TestBatch({"good", "good"});
  batch.mutable_candidates(1)->mutable_artifact()->mutable_manifest()->set_needs_tiles(true);
  const Answer answer = Measure(batch);
  ExpectTimed(answer.measurements[0]);
  EXPECT_NE(answer.measurements[1].failure(), pb::OK);
  EXPECT_THAT(answer.measurements[1].message(), HasSubstr(error.message));
}

TEST_F(WorkerTest, NeverRacesFinalistsOut) {
  pb::Batch batch = TestBatch({"good", "slow"});
  batch.set_final(true);
  const Answer answer = Measure(batch);
  for (const pb::Measurement& measurement : answer.measurements) {
    ExpectTimed(measurement);
    EXPECT_TRUE(measurement.finalist());
    EXPECT_FALSE(measurement.raced_out());
  }
}

TEST_F(WorkerTest, ReportsWrongNumbersWithTheWorstElement) {
  const Answer answer = Measure(TestBatch({"good", "wrong", "unwritten"}));
  ExpectTimed(answer.measurements[0]);
  EXPECT_EQ(answer.measurements[1].failure(), pb::INCORRECT);
  EXPECT_THAT(answer.measurements[1].message(), HasSubstr("output 'y': element 17"));
  EXPECT_GT(answer.measurements[1].max_error(), 1);
  EXPECT_EQ(answer.measurements[2].failure(), pb::INCORRECT);
  EXPECT_THAT(answer.measurements[2].message(), HasSubstr("is nan"));
}

TEST_F(WorkerTest, ReportsNumbersThatAreRightOnlyAtFirst) {
  pb::Batch batch = TestBatch({"flaky"});
  batch.set_final(true);  // finalists are always checked again
  const Answer answer = Measure(batch);
  EXPECT_EQ(answer.measurements[0].failure(), pb::INCORRECT);
  EXPECT_THAT(answer.measurements[0].message(), HasSubstr("right at first"));
}

TEST_F(WorkerTest, ACrashCostsOneCandidateAndSaysWhere) {
  const Answer answer = Measure(
      TestBatch({"good", "segfault", "good", "overrun_far", "write_input", "illegal", "good"}));
  for (int i : {0, 2, 6}) ExpectTimed(answer.measurements[i]);
  for (int i : {1, 3, 4, 5}) EXPECT_EQ(answer.measurements[i].failure(), pb::CRASH);
  EXPECT_THAT(answer.measurements[1].message(), HasSubstr("SIGSEGV at address 0x10"));
  EXPECT_THAT(answer.measurements[3].message(),
              HasSubstr("SIGSEGV at 100 bytes past the end of output 'y'"));
  EXPECT_THAT(answer.measurements[4].message(), HasSubstr("by a write to input 'x'"));
  EXPECT_THAT(answer.measurements[5].message(), HasSubstr("SIGILL"));
  EXPECT_EQ(answer.done.error(), "");
  EXPECT_GT(answer.done.reference().cost_ns(), 0);
}

TEST_F(WorkerTest, AWriteBesideABufferCostsOneCandidate) {
  const Answer answer = Measure(TestBatch({"overrun_near", "good"}));
  EXPECT_EQ(answer.measurements[0].failure(), pb::INCORRECT);
  EXPECT_EQ(answer.measurements[0].message(), "wrote outside of output 'y'");
  ExpectTimed(answer.measurements[1]);
}

TEST_F(WorkerTest, AHangCostsOneCandidateAndItsTimeout) {
  const auto start = std::chrono::steady_clock::now();
  const Answer answer = Measure(TestBatch({"good", "hang", "good"}));
  EXPECT_EQ(answer.measurements[1].failure(), pb::TIMEOUT);
  EXPECT_THAT(answer.measurements[1].message(), HasSubstr("200 ms"));
  ExpectTimed(answer.measurements[0]);
  ExpectTimed(answer.measurements[2]);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(WorkerTest, ReportsCodeThatDoesNotLoad) {
  pb::Batch batch = TestBatch({"good", "good", "good"});
  batch.mutable_candidates(0)->mutable_artifact()->set_code("not an ELF file");
  batch.mutable_candidates(1)
      ->mutable_artifact()
      ->mutable_manifest()
      ->mutable_buffers(3)
      ->set_dtype("f16");
  batch.mutable_candidates(2)->mutable_artifact()->clear_code();
  batch.mutable_candidates(2)->mutable_measurement()->set_failure(pb::COMPILE_ERROR);
  batch.mutable_candidates(2)->mutable_measurement()->set_message("illegal tile");
  const Answer answer = Measure(batch);
  for (const pb::Measurement& measurement : answer.measurements)
    EXPECT_EQ(measurement.failure(), pb::COMPILE_ERROR) << measurement.message();
  EXPECT_THAT(answer.measurements[1].message(), HasSubstr("output 'y' differs from"));
  EXPECT_EQ(answer.measurements[2].message(), "illegal tile");
}

TEST_F(WorkerTest, ReportsABufferThatDoesNotFitInMemory) {
  pb::Batch batch = TestBatch({"good"});
  batch.mutable_candidates(0)->mutable_artifact()->mutable_manifest()->set_scratch_shared_bytes(
      int64_t{1} << 46);
  EXPECT_EQ(Measure(batch).measurements[0].failure(), pb::OUT_OF_MEMORY);
}

TEST_F(WorkerTest, ChecksTheReferenceAgainstTheOraclesValues) {
  std::vector<float> x(kTestElements), w(kTestElements);
  hone_fill(x.data(), kTestElements, "f32", 7, 0);
  hone_fill(w.data(), kTestElements, "f32", 7, 1);
  pb::Batch batch = TestBatch({"good"});
  pb::SamplePoint& sample = *batch.add_samples();
  sample.set_buffer(3);
  sample.set_element(123);
  sample.set_value(double{x[123]} * 2 * w[123] + 1);
  const Answer right = Measure(batch);
  ExpectTimed(right.measurements[0]);
  EXPECT_LT(right.measurements[0].rms_error(), 1e-6);

  sample.set_value(sample.value() + 1);
  const Answer wrong = Measure(batch);
  EXPECT_THAT(wrong.done.error(), HasSubstr("reference failed: output 'y': element 123"));
  EXPECT_EQ(wrong.measurements[0].failure(), pb::INFRA);
}

TEST_F(WorkerTest, RefusesWhatIsLessExactThanTheNumericsClass) {
  std::vector<float> x(kTestElements), w(kTestElements);
  hone_fill(x.data(), kTestElements, "f32", 7, 0);
  hone_fill(w.data(), kTestElements, "f32", 7, 1);
  pb::Batch batch = TestBatch({"good"});
  batch.set_numerics("fp32");
  for (int i = 0; i < 64; ++i) {
    pb::SamplePoint& sample = *batch.add_samples();
    sample.set_buffer(3);
    sample.set_element(i);
    sample.set_value((double{x[i]} * 2 * w[i] + 1) * (1 + 2e-6));  // so the kernel errs by 2e-6
  }
  batch.set_sequential_rms_error(1e-7);
  const Answer unbounded = Measure(batch);
  ExpectTimed(unbounded.measurements[0]);
  EXPECT_NEAR(unbounded.measurements[0].rms_error(), 2e-6, 1e-7);
  EXPECT_NEAR(unbounded.measurements[0].error_ratio(), 20, 1);

  batch.set_rms_error_max(3e-6);
  ExpectTimed(Measure(batch).measurements[0]);

  batch.set_rms_error_max(4.5e-7);
  const Answer refused = Measure(batch);
  EXPECT_EQ(refused.done.error(), "");
  EXPECT_EQ(refused.measurements[0].failure(), pb::INCORRECT);
  EXPECT_THAT(refused.measurements[0].message(),
              testing::MatchesRegex(
                  "rms error 2e-06 is [0-9.]+ times that of sequential fp32; class fp32 allows 4"));
}

TEST_F(WorkerTest, SaysWhenTheReferenceCrashes) {
  pb::Batch batch = TestBatch({"good"});
  *batch.mutable_reference() = TestCandidate("segfault");
  const Answer answer = Measure(batch);
  EXPECT_THAT(answer.done.error(), HasSubstr("reference failed: SIGSEGV"));
  EXPECT_EQ(answer.measurements[0].failure(), pb::INFRA);
}

TEST_F(WorkerTest, LendsAsManyThreadsAsTheTargetSays) {
  pb::Batch batch = TestBatch({"parallel"});
  batch.set_target(
      "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=2 threads=2");
  ExpectTimed(Measure(batch).measurements[0]);
}

TEST_F(WorkerTest, TimesRunsWithColdConstantsWhenAsked) {
  pb::Batch batch = TestBatch({"good", "slow"});
  EXPECT_FALSE(Measure(batch).measurements[0].cold_constants());
  batch.set_cold_constants(true);
  const Answer answer = Measure(batch);
  for (const pb::Measurement& measurement : answer.measurements) {
    ExpectTimed(measurement);
    EXPECT_TRUE(measurement.cold_constants());
  }
  EXPECT_TRUE(answer.done.reference().cold_constants());
}

TEST_F(WorkerTest, RunsBatchAfterBatch) {
  for (int i = 0; i < 5; ++i) ExpectTimed(Measure(TestBatch({"good"})).measurements[0]);
}

}  // namespace
}  // namespace hone
