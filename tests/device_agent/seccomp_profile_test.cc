#include "device_agent/sandbox/seccomp_profile.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace hone {
namespace {

constexpr int kNumbers = 600;           // beyond the last one of Linux
constexpr long kOtherAbi = 0x40000000;  // x32, on x86-64

enum class Fate { kReturned, kKilled, kCrashed, kStayed };

// What becomes of a process that puts the profile on and does this. Killed after 2 s if it waits.
Fate FateUnder(const SeccompProfile& profile, const std::function<void()>& act) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!profile.Install()) _exit(7);
    act();
    syscall(SYS_exit_group, 0);
  }
  int status = 0;
  for (int i = 0; i < 2000; ++i) {
    if (waitpid(child, &status, WNOHANG) == child) {
      if (!WIFSIGNALED(status)) return Fate::kReturned;
      return WTERMSIG(status) == SIGSYS ? Fate::kKilled : Fate::kCrashed;
    }
    usleep(1000);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return Fate::kStayed;
}

// uretprobe and uprobe of x86-64: Linux lets these two past every filter, since processes that are
// probed have to make them, and answers them itself (checked by the test below).
bool PassesEveryFilter([[maybe_unused]] int number) {
#if defined(__x86_64__)
  return number == 335 || number == 336;
#else
  return false;
#endif
}

class SeccompProfileTest : public testing::Test {
 protected:
  void SetUp() override {
#if defined(HONE_SANITIZED)
    GTEST_SKIP() << "a sanitizer makes system calls of its own";
#endif
  }
  const StatusOr<SeccompProfile> cpu_ = SeccompProfile::Compile(DeviceKind::kCpu, 3);
};

TEST_F(SeccompProfileTest, EverySystemCallIsOnTheListOrEndsTheProcess) {
  ASSERT_TRUE(cpu_.ok()) << cpu_.status().message();
  for (DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kGpu}) {
    const SeccompProfile profile = SeccompProfile::Compile(kind, 3).value();
    const std::vector<std::string> names = AllowedSystemCalls(kind);
    const std::set<std::string> allowed(names.begin(), names.end());
    size_t on_list = 0;
    for (int number = 0; number < kNumbers; ++number) {
      if (allowed.count(SystemCallName(number)) > 0) {
        ++on_list;
        continue;
      }
      if (PassesEveryFilter(number)) continue;
      EXPECT_EQ(FateUnder(profile, [&] { syscall(number, -1, -1, -1, -1, -1, -1); }), Fate::kKilled)
          << SystemCallName(number);
    }
    EXPECT_LE(on_list, allowed.size());
    EXPECT_GE(on_list, allowed.size() - 2) << "hardly any is missing on an architecture";
  }
}

// Only a return address that the system itself put in place makes these calls do something; of
// anybody else they end the process (SIGILL), or give an error where the system knows no such call.
TEST_F(SeccompProfileTest, WhatPassesEveryFilterDoesNothing) {
  for (int number = 0; number < kNumbers; ++number) {
    if (!PassesEveryFilter(number)) continue;
    bool* succeeded = static_cast<bool*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const Fate fate =
        FateUnder(*cpu_, [&] { *succeeded = syscall(number, -1, -1, -1, -1, -1, -1) >= 0; });
    EXPECT_NE(fate, Fate::kStayed) << number;
    EXPECT_FALSE(*succeeded) << number;
    munmap(succeeded, 4096);
  }
}

TEST_F(SeccompProfileTest, OtherWaysOfCallingAreClosed) {
#if defined(__x86_64__)
  for (long number = 0; number < kNumbers; number += 7) {
    EXPECT_EQ(FateUnder(*cpu_, [&] { syscall(kOtherAbi | number, 0, 0, 0); }), Fate::kKilled)
        << number;
  }
#else
  GTEST_SKIP() << "only x86-64 has two";
#endif
}

TEST_F(SeccompProfileTest, RunningAndTimingWorks) {
  EXPECT_EQ(FateUnder(*cpu_,
                      [] {
                        timespec now;
                        syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
                        syscall(SYS_sched_yield);
                        syscall(SYS_brk, 0);
                      }),
            Fate::kReturned);
}

TEST_F(SeccompProfileTest, OnlyTheOrdersCanBeReadAndWritten) {
  char byte = 0;
  EXPECT_EQ(FateUnder(*cpu_, [&] { syscall(SYS_write, 3, &byte, 0); }), Fate::kReturned);
  EXPECT_EQ(FateUnder(*cpu_, [&] { syscall(SYS_write, 2, &byte, 0); }), Fate::kKilled);
  EXPECT_EQ(FateUnder(*cpu_, [&] { syscall(SYS_read, 0, &byte, 0); }), Fate::kKilled);
}

TEST_F(SeccompProfileTest, MemoryCanLoseRightsButNotGainAny) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const auto protect = [&](int rights) {
    return FateUnder(*cpu_, [&] { syscall(SYS_mprotect, page, 4096, rights); });
  };
  EXPECT_EQ(protect(PROT_READ), Fate::kReturned);
  EXPECT_EQ(protect(PROT_READ | PROT_WRITE), Fate::kKilled);
  EXPECT_EQ(protect(PROT_READ | PROT_EXEC), Fate::kKilled);
  munmap(page, 4096);
}

TEST_F(SeccompProfileTest, AGpuProfileAllowsItsDriversRequestsOnly) {
  const SeccompProfile gpu = SeccompProfile::Compile(DeviceKind::kGpu, 3).value();
  const auto request = [&](unsigned long number) {
    return FateUnder(gpu, [&] { syscall(SYS_ioctl, -1, number, 0); });
  };
  EXPECT_EQ(request(0xc020462a), Fate::kReturned);  // NVIDIA's type 'F'
  EXPECT_EQ(request(0x5412), Fate::kKilled);        // TIOCSTI: types into a terminal
  EXPECT_EQ(FateUnder(gpu, [] { syscall(SYS_socket, 2, 1, 0); }), Fate::kKilled);
}

}  // namespace
}  // namespace hone
