#include "rpc/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "proto/worker.pb.h"
#include "rpc/frame.h"

namespace hone {
namespace {

ChildProcess StartEcho() {
  ChildProcess::Options options;
  options.program = std::filesystem::read_symlink("/proc/self/exe").replace_filename("echo_worker");
  return ChildProcess::Start(options).value();
}

void Send(const ChildProcess& child, const std::string& order) {
  pb::BuildRequest request;
  request.set_schedule(order);
  ASSERT_TRUE(WriteFrame(child.socket(), request).ok());
}

std::string Answer(const ChildProcess& child) {
  pb::BuildReply reply;
  return ReadFrame(child.socket(), reply).value_or(false) ? reply.failure().message() : "nothing";
}

TEST(ChildProcessTest, SpeaksFramesOnItsSocket) {
  ChildProcess child = StartEcho();
  Send(child, "hello");
  EXPECT_EQ(Answer(child), "hello");
  EXPECT_EQ(child.Poll(), std::nullopt);
}

TEST(ChildProcessTest, GivesTheChildNoOtherDescriptor) {
  const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ChildProcess child = StartEcho();
  Send(child, "descriptors");
  EXPECT_EQ(Answer(child), "0");
  close(leaked);
}

TEST(ChildProcessTest, SaysHowTheChildEnded) {
  ChildProcess exits = StartEcho();
  Send(exits, "exit");
  EXPECT_EQ(exits.Wait().ToString(), "exited with code 7");
  ChildProcess aborts = StartEcho();
  Send(aborts, "abort");
  EXPECT_EQ(aborts.Wait().ToString(), "killed by SIGABRT");
}

TEST(ChildProcessTest, ItsPidfdBecomesReadableWhenItEnds) {
  ChildProcess child = StartEcho();
  Send(child, "hang");
  EXPECT_EQ(child.WaitFor(0), std::nullopt);
  child.Signal(SIGKILL);
  pollfd ended = {child.pidfd(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10000), 1);
  ASSERT_TRUE(child.Poll().has_value());
  EXPECT_EQ(child.Poll()->signal, SIGKILL);
}

TEST(ChildProcessTest, KillsAndReapsWhenDestroyed) {
  pid_t pid = 0;
  {
    ChildProcess child = StartEcho();
    Send(child, "hang");
    ChildProcess moved = std::move(child);
    pid = moved.pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcessTest, NamesAProgramThatIsNotThere) {
  ChildProcess::Options options;
  options.program = "/nowhere/hone-worker";
  const Status status = ChildProcess::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere/hone-worker"));
}

}  // namespace
}  // namespace hone
