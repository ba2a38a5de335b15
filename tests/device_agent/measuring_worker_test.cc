#include "device_agent/measuring_worker.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>

#include "tests/device_agent/agent_batches.h"

namespace hone {
namespace {

using testing::HasSubstr;

std::string BinDir() { return getenv("HONE_BIN_DIR"); }

class MeasuringWorkerTest : public testing::Test {
 protected:
  std::unique_ptr<MeasuringWorker> Start(const std::string& program) {
    return MeasuringWorker::Start(context_, {.program = program}).value();
  }
  // Runs the context until the batch's result is there.
  pb::BatchResult Measure(MeasuringWorker& worker, const pb::Batch& batch) {
    std::optional<pb::BatchResult> got;
    worker.Measure(batch, [&](pb::BatchResult result) { got = std::move(result); });
    context_.restart();
    while (!got.has_value()) context_.run_one();
    return *got;
  }

  boost::asio::io_context context_;
};

TEST_F(MeasuringWorkerTest, GathersOneMeasurementForEachCandidate) {
  const auto worker = Start(BinDir() + "/hone-worker");
  for (int i = 0; i < 2; ++i) {
    const pb::BatchResult result = Measure(*worker, TestBatch({"good", "segfault", "good"}));
    ASSERT_EQ(result.measurements_size(), 3);
    EXPECT_EQ(result.measurements(0).failure(), pb::OK);
    EXPECT_EQ(result.measurements(1).failure(), pb::CRASH);
    EXPECT_EQ(result.measurements(2).failure(), pb::OK);
    EXPECT_GT(result.reference().cost_ns(), 0);
  }
}

TEST_F(MeasuringWorkerTest, ReplacesAWorkerWhoseBatchIsCancelled) {
  const auto worker = Start(BinDir() + "/hone-worker");
  pb::Batch hanging = TestBatch({"hang"});
  hanging.set_timeout_ms(60000);
  bool called = false;
  worker->Measure(hanging, [&](pb::BatchResult) { called = true; });
  context_.poll();
  worker->Cancel();
  const pb::BatchResult result = Measure(*worker, TestBatch({"good"}));
  EXPECT_EQ(result.measurements(0).failure(), pb::OK);
  EXPECT_FALSE(called);
}

TEST_F(MeasuringWorkerTest, ReportsAWorkerThatEndsAsTheMachinerysFault) {
  const auto worker = Start("/bin/true");
  for (int i = 0; i < 2; ++i) {
    const pb::BatchResult result = Measure(*worker, TestBatch({"good"}));
    EXPECT_EQ(result.measurements(0).failure(), pb::INFRA);
    EXPECT_THAT(result.measurements(0).message(), HasSubstr("worker ended early"));
  }
}

TEST_F(MeasuringWorkerTest, NamesAProgramThatIsNotThere) {
  EXPECT_EQ(MeasuringWorker::Start(context_, {.program = "/nowhere/hone-worker"}).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace hone
