// With tests/rpc/echo_worker, which answers with the request's schedule and misbehaves on demand.
#include "rpc/build_pool.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace hone {
namespace {

using testing::HasSubstr;

pb::BuildRequest Request(uint64_t id, const std::string& schedule) {
  pb::BuildRequest request;
  request.set_id(id);
  request.set_schedule(schedule);
  return request;
}

BuildPool::Options PoolOptions(int workers) {
  BuildPool::Options options;
  options.program = std::filesystem::read_symlink("/proc/self/exe").replace_filename("echo_worker");
  options.workers = workers;
  return options;
}

std::unique_ptr<BuildPool> StartPool(int workers, int64_t timeout_ms = 60000) {
  BuildPool::Options options = PoolOptions(workers);
  options.timeout_ms = timeout_ms;
  return BuildPool::Start(options).value();
}

TEST(BuildPoolTest, AnswersEveryRequest) {
  const std::unique_ptr<BuildPool> pool = StartPool(2);
  std::vector<std::future<pb::BuildReply>> replies;
  for (uint64_t id = 0; id < 100; ++id)
    replies.push_back(pool->Build(Request(id, std::to_string(id))));
  for (uint64_t id = 0; id < 100; ++id) {
    const pb::BuildReply reply = replies[id].get();
    EXPECT_EQ(reply.id(), id);
    EXPECT_EQ(reply.failure().message(), std::to_string(id));
  }
}

TEST(BuildPoolTest, AWorkerThatDiesCostsOneCandidate) {
  const std::unique_ptr<BuildPool> pool = StartPool(1);
  auto before = pool->Build(Request(1, "a"));
  auto aborts = pool->Build(Request(2, "abort"));
  auto exits = pool->Build(Request(3, "exit"));
  auto after = pool->Build(Request(4, "b"));
  EXPECT_EQ(before.get().failure().message(), "a");
  const pb::BuildReply crash = aborts.get();
  EXPECT_EQ(crash.id(), 2u);
  EXPECT_EQ(crash.failure().failure(), pb::COMPILE_ERROR);
  EXPECT_EQ(crash.failure().message(), "compiler crashed: killed by SIGABRT");
  EXPECT_EQ(exits.get().failure().message(), "compiler crashed: exited with code 7");
  EXPECT_EQ(after.get().failure().message(), "b");
}

TEST(BuildPoolTest, AWorkerThatSomebodyEndsIsNoFaultOfTheCandidate) {
  const std::unique_ptr<BuildPool> pool = StartPool(1);
  auto ended = pool->Build(Request(1, "ended"));
  auto after = pool->Build(Request(2, "b"));
  EXPECT_EQ(ended.get().failure().failure(), pb::INFRA);
  EXPECT_EQ(after.get().failure().message(), "b");
}

TEST(BuildPoolTest, AWorkerThatHangsCostsOneCandidate) {
  const std::unique_ptr<BuildPool> pool = StartPool(1, 100);
  auto hangs = pool->Build(Request(1, "hang"));
  auto after = pool->Build(Request(2, "b"));
  const pb::BuildReply reply = hangs.get();
  EXPECT_EQ(reply.failure().failure(), pb::TIMEOUT);
  EXPECT_THAT(reply.failure().message(), HasSubstr("100 ms"));
  EXPECT_EQ(after.get().failure().message(), "b");
}

TEST(BuildPoolTest, BuildsNothingWhilePaused) {
  const std::unique_ptr<BuildPool> pool = StartPool(2);
  EXPECT_EQ(pool->Build(Request(1, "a")).get().failure().message(), "a");
  pool->Pause();
  pool->Pause();
  auto waits = pool->Build(Request(2, "b"));
  pool->Resume();
  EXPECT_EQ(waits.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  pool->Resume();
  EXPECT_EQ(waits.get().failure().message(), "b");
}

TEST(BuildPoolTest, BuildsOnWithTheWorkersBesideWhilePaused) {
  BuildPool::Options options = PoolOptions(2);
  options.workers_beside = 1;
  const std::unique_ptr<BuildPool> pool = BuildPool::Start(options).value();
  pool->Pause();
  auto hangs = pool->Build(Request(1, "hang"));
  auto waits = pool->Build(Request(2, "b"));
  EXPECT_EQ(waits.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  pool->Resume();
  EXPECT_EQ(waits.get().failure().message(), "b");
}

TEST(BuildPoolTest, AnswersWhatIsLeftWhenItIsClosed) {
  std::unique_ptr<BuildPool> pool = StartPool(1);
  auto running = pool->Build(Request(1, "hang"));
  auto waiting = pool->Build(Request(2, "b"));
  pool.reset();
  EXPECT_EQ(running.get().failure().failure(), pb::CANCELLED);
  EXPECT_EQ(waiting.get().failure().failure(), pb::CANCELLED);
}

TEST(BuildPoolTest, NamesAProgramThatIsNotThere) {
  BuildPool::Options options;
  options.program = "/nowhere/hone-build-worker";
  EXPECT_EQ(BuildPool::Start(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace hone
