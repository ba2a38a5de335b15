// With tests/rpc/echo_worker as compiler, and a device that answers when it is told to.
#include "tuner/measure/pausing_measurer.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

class SlowMeasurer : public Measurer {
 public:
  StatusOr<std::string> Submit(const pb::Batch&) override {
    if (unreachable) return absl::UnavailableError("no tracker");
    return absl::StrCat("batch", ++submitted_);
  }
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration) override {
    return std::exchange(finished_, {});
  }
  Status Cancel(const std::vector<std::string>&) override { return absl::OkStatus(); }

  void Finish(const std::string& id) { finished_.emplace_back().set_batch_id(id); }

  bool unreachable = false;

 private:
  int submitted_ = 0;
  std::vector<pb::BatchResult> finished_;
};

class PausingMeasurerTest : public testing::Test {
 protected:
  PausingMeasurerTest() {
    BuildPool::Options options;
    options.program =
        std::filesystem::read_symlink("/proc/self/exe").replace_filename("echo_worker");
    pool_ = BuildPool::Start(options).value();
    pausing_ = std::make_unique<PausingMeasurer>(device_, *pool_);
  }

  std::future<pb::BuildReply> Build() {
    pb::BuildRequest request;
    request.set_schedule("a");
    return pool_->Build(std::move(request));
  }
  static bool Waits(const std::future<pb::BuildReply>& build) {
    return build.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout;
  }

  SlowMeasurer device_;
  std::unique_ptr<BuildPool> pool_;
  std::unique_ptr<PausingMeasurer> pausing_;
};

TEST_F(PausingMeasurerTest, BuildsWhileNothingIsMeasured) {
  EXPECT_EQ(Build().get().failure().message(), "a");
}

TEST_F(PausingMeasurerTest, BuildsNothingUntilTheLastBatchIsBack) {
  EXPECT_EQ(pausing_->Submit({}).value(), "batch1");
  EXPECT_EQ(pausing_->Submit({}).value(), "batch2");
  std::future<pb::BuildReply> build = Build();
  EXPECT_TRUE(Waits(build));
  device_.Finish("batch1");
  EXPECT_EQ(pausing_->Wait(absl::ZeroDuration())->size(), 1u);
  EXPECT_TRUE(Waits(build));
  device_.Finish("batch2");
  EXPECT_EQ(pausing_->Wait(absl::ZeroDuration())->size(), 1u);
  EXPECT_EQ(build.get().failure().message(), "a");
}

TEST_F(PausingMeasurerTest, BuildsAgainOnceBatchesAreCancelled) {
  const std::string id = pausing_->Submit({}).value();
  EXPECT_TRUE(pausing_->Cancel({id}).ok());
  EXPECT_EQ(Build().get().failure().message(), "a");
}

TEST_F(PausingMeasurerTest, BuildsOnWhenTheFarmIsOutOfReach) {
  device_.unreachable = true;
  EXPECT_FALSE(pausing_->Submit({}).ok());
  EXPECT_EQ(Build().get().failure().message(), "a");
}

TEST_F(PausingMeasurerTest, LetsCompilersGoOnWhenItEnds) {
  EXPECT_TRUE(pausing_->Submit({}).ok());
  pausing_.reset();
  EXPECT_EQ(Build().get().failure().message(), "a");
}

}  // namespace
}  // namespace hone
