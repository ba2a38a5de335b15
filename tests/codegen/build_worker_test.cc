// The build worker as the build pool sees it: a process that answers requests over a socket.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

constexpr char kWorkload[] =
    "workload/1\ninput x f32 [64]\noutput y f32 [64]\nstage y f32 [i:64] = max(x[i],0x0p+0)\n";
constexpr char kTarget[] =
    "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1";

class BuildWorkerTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("HONE_BIN_DIR");
    if (directory == nullptr) GTEST_SKIP() << "HONE_BIN_DIR is not set";
    const std::string program = std::string(directory) + "/hone-build-worker";
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    process_ = fork();
    if (process_ == 0) {
      dup2(sockets[1], kWorkerSocket);
      execl(program.c_str(), program.c_str(), nullptr);
      _exit(127);
    }
    close(sockets[1]);
    socket_ = sockets[0];
  }

  void TearDown() override {
    if (process_ <= 0) return;
    close(socket_);
    int status = 0;
    EXPECT_EQ(waitpid(process_, &status, 0), process_);
    EXPECT_EQ(status, 0);
  }

  pb::BuildReply Ask(const std::string& schedule, const std::string& numerics = "") {
    pb::BuildRequest request;
    request.set_id(++id_);
    request.set_workload(kWorkload);
    request.set_schedule(schedule);
    request.set_target(kTarget);
    request.mutable_options()->set_numerics(numerics);
    EXPECT_TRUE(WriteFrame(socket_, request).ok());
    pb::BuildReply reply;
    const auto more = ReadFrame(socket_, reply);
    EXPECT_TRUE(more.ok() && *more) << more.status();
    EXPECT_EQ(reply.id(), id_);
    return reply;
  }

 private:
  pid_t process_ = -1;
  int socket_ = -1;
  uint64_t id_ = 0;
};

TEST_F(BuildWorkerTest, AnswersWithArtifactsAndWithFailuresInTurn) {
  const pb::BuildReply good = Ask("schedule/1\n");
  EXPECT_EQ(good.failure().message(), "");
  EXPECT_EQ(good.artifact().manifest().buffers_size(), 2);
  EXPECT_GT(good.artifact().compile_ns(), 0);
  const pb::BuildReply bad = Ask("schedule/1\nunroll y nothing\n");
  EXPECT_EQ(bad.failure().failure(), pb::COMPILE_ERROR);
  EXPECT_THAT(bad.failure().message(), testing::HasSubstr("nothing"));
  EXPECT_EQ(Ask("schedule/1\nvectorize y i\n").artifact().code().substr(1, 3), "ELF");
}

TEST_F(BuildWorkerTest, RefusesAlgorithmsThatTheNumericsClassDoesNotAllow) {
  const pb::BuildReply refused = Ask("schedule/1\nwinograd y i 2\n", "strict");
  EXPECT_EQ(refused.failure().failure(), pb::COMPILE_ERROR);
  EXPECT_EQ(refused.failure().message(),
            "step 1 (winograd y i 2): numerics strict allows plain fp32 multiply-adds, direct "
            "algorithms only");
  EXPECT_THAT(Ask("schedule/1\n", "fp23").failure().message(),
              testing::HasSubstr("no numerics class 'fp23'"));
  EXPECT_TRUE(Ask("schedule/1\n", "strict").has_artifact());
}

}  // namespace
}  // namespace hone
