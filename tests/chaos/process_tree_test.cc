#include "tests/support/process_tree.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

namespace hone {
namespace {

// Goes on for ever, in a session of its own, below a process that is gone.
void StartDaemon(int tell_pid) {
  if (fork() != 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  const pid_t pid = getpid();
  if (write(tell_pid, &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
  while (true) pause();
}

class ProcessTreeTest : public testing::TestWithParam<int> {};

TEST_P(ProcessTreeTest, LeavesNothingHoweverTheRunEnds) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const auto run = [&] {
    StartDaemon(pipe_ends[1]);
    pid_t pid = 0;
    if (read(pipe_ends[0], &pid, sizeof(pid)) != sizeof(pid)) return 1;
    if (write(pipe_ends[1], &pid, sizeof(pid)) != sizeof(pid)) return 1;
    if (GetParam() != 0) raise(GetParam());
    return 7;
  };
  EXPECT_EQ(RunAndLeaveNothing(run), GetParam() == 0 ? 7 : 128 + GetParam());
  pid_t pid = 0;
  ASSERT_EQ(read(pipe_ends[0], &pid, sizeof(pid)), sizeof(pid));
  EXPECT_EQ(kill(pid, 0), -1) << pid << " is left";
  EXPECT_THAT(DescendantsOf(getpid()), testing::IsEmpty());
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

INSTANTIATE_TEST_SUITE_P(Ends, ProcessTreeTest, testing::Values(0, SIGABRT, SIGKILL, SIGTERM));

}  // namespace
}  // namespace hone
