// The walls that stand behind the filter of system calls: what a process inside the namespaces sees
// and reaches when nothing else stops it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "device_agent/sandbox/landlock.h"
#include "device_agent/sandbox/rlimits.h"
#include "device_agent/sandbox/sandbox.h"

namespace hone {
namespace {

// Runs `look` inside a sandbox of this level, in a process of its own, and hands back what it says.
std::string Inside(SandboxLevel level, const std::function<std::string(const Sandbox&)>& look) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const StatusOr<Sandbox> sandbox = Sandbox::Enter(level, DeviceKind::kCpu);
    const std::string said =
        sandbox.ok() ? look(*sandbox) : std::string(sandbox.status().message());
    _exit(write(ends[1], said.data(), said.size()) > 0 ? 0 : 1);
  }
  close(ends[1]);
  std::string said;
  char chunk[256];
  ssize_t n = 0;
  while ((n = read(ends[0], chunk, sizeof(chunk))) > 0) said.append(chunk, static_cast<size_t>(n));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return said;
}

// "ok", or the error's name.
std::string Outcome(bool worked) { return worked ? "ok" : strerrorname_np(errno); }

class WallsTest : public testing::Test {
 protected:
  void SetUp() override {
    const SandboxReport report = Sandbox::Probe();
    if (report.level < SandboxLevel::kEmptyRoot)
      GTEST_SKIP() << "no sandbox of level L3 here: " << report.why_not_higher;
  }
};

TEST_F(WallsTest, HideTheHostsFiles) {
  for (const char* path : {"/etc/shadow", "/root/.ssh", "/etc/passwd", "/tmp", "/home", "/dev/null",
                           "/bin/sh", "/sys/class"}) {
    EXPECT_EQ(Inside(SandboxLevel::kEmptyRoot,
                     [&](const Sandbox&) { return Outcome(open(path, O_RDONLY) >= 0); }),
              "ENOENT")
        << path;
  }
}

TEST_F(WallsTest, LeaveNoPlaceToWrite) {
  for (const char* path : {"/file", "/proc/file", "/sys/file"}) {
    EXPECT_NE(
        Inside(SandboxLevel::kEmptyRoot,
               [&](const Sandbox&) { return Outcome(open(path, O_CREAT | O_RDWR, 0600) >= 0); }),
        "ok")
        << path;
  }
}

TEST_F(WallsTest, ShowNoProcessButTheirOwn) {
  const std::string processes = Inside(SandboxLevel::kEmptyRoot, [](const Sandbox&) {
    std::string names;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (isdigit(static_cast<unsigned char>(name[0])) != 0) absl::StrAppend(&names, name, " ");
    }
    return names;
  });
  EXPECT_EQ(processes, "1 ");
}

TEST_F(WallsTest, KeepTheWorkersSecretsFromItsChildren) {
  for (const char* file : {"environ", "mem", "maps"}) {
    EXPECT_EQ(Inside(SandboxLevel::kEmptyRoot,
                     [&](const Sandbox&) {
                       int ends[2];
                       if (pipe(ends) != 0) return std::string("no pipe");
                       if (fork() == 0) {
                         const std::string said =
                             Outcome(open(absl::StrCat("/proc/1/", file).c_str(), O_RDWR) >= 0);
                         _exit(write(ends[1], said.data(), said.size()) > 0 ? 0 : 1);
                       }
                       wait(nullptr);
                       char said[32] = {};
                       return std::string(read(ends[0], said, sizeof(said) - 1) > 0 ? said : "");
                     }),
              "EACCES")
        << file;
  }
}

TEST_F(WallsTest, LeadToNoNetwork) {
  EXPECT_EQ(Inside(SandboxLevel::kNamespaces,
                   [](const Sandbox&) {
                     sockaddr_in address = {};
                     address.sin_family = AF_INET;
                     address.sin_port = htons(53);
                     inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
                     const int fd = socket(AF_INET, SOCK_DGRAM, 0);
                     return Outcome(
                         connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
                   }),
            "ENETUNREACH");
  EXPECT_EQ(Inside(SandboxLevel::kNamespaces,
                   [](const Sandbox&) { return Outcome(socket(AF_INET, SOCK_RAW, 1) >= 0); }),
            "EPERM");
}

TEST_F(WallsTest, HideTheHostsAbstractSockets) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = absl::StrCat("hone-walls-test-", getpid());
  memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(Inside(SandboxLevel::kNamespaces,
                   [&](const Sandbox&) {
                     const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
                     return Outcome(connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
                   }),
            "ECONNREFUSED");
  close(listener);
}

TEST_F(WallsTest, ReachNoProcessOutside) {
  const pid_t outside = getpid();
  EXPECT_EQ(Inside(SandboxLevel::kNamespaces,
                   [&](const Sandbox&) { return Outcome(kill(outside, 0) == 0); }),
            "ESRCH");
}

TEST_F(WallsTest, GiveNoRightsBack) {
  EXPECT_EQ(
      Inside(SandboxLevel::kEmptyRoot, [](const Sandbox&) { return Outcome(setuid(0) == 0); }),
      "EINVAL");  // there is no root inside
  EXPECT_EQ(Inside(SandboxLevel::kEmptyRoot,
                   [](const Sandbox&) { return Outcome(sethostname("x", 1) == 0); }),
            "EPERM");
}

TEST_F(WallsTest, DaemonsDieWithTheirBatch) {
  for (SandboxLevel level : {SandboxLevel::kProcess, SandboxLevel::kNamespaces}) {
    const std::string said = Inside(level, [](const Sandbox& sandbox) -> std::string {
      int alive[2];
      if (pipe(alive) != 0) return "no pipe";
      for (int i = 0; i < 4; ++i) {
        if (fork() != 0) continue;
        setsid();
        if (fork() != 0) _exit(0);
        setsid();
        while (true) pause();
      }
      close(alive[1]);
      const Status gone = sandbox.KillLeftovers();
      // The pipe ends when the last one that holds it is gone.
      char byte;
      return gone.ok() && read(alive[0], &byte, 1) == 0 ? "all gone" : "some stayed";
    });
    EXPECT_EQ(said, "all gone") << SandboxLevelName(level);
  }
}

TEST_F(WallsTest, LandlockRefusesFilesOnItsOwn) {
  if (!HasLandlock()) GTEST_SKIP() << "no Landlock in this kernel";
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = Sandbox::Enter(SandboxLevel::kSystemCalls, DeviceKind::kCpu).ok() &&
                         RefuseAllFiles() && open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES;
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(LimitsTest, LeaveLittleRoomWhileRunning) {
#if defined(HONE_SANITIZED)
  GTEST_SKIP() << "a sanitizer's own memory has no limit";
#endif
  const pid_t child = fork();
  if (child == 0) {
    LimitWhileLoading(10);
    LimitWhileRunning();
    rlimit core = {}, files = {};
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_NOFILE, &files);
    const bool too_much = mmap(nullptr, kRoomBytes + (1 << 20), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
    const bool a_little = mmap(nullptr, kRoomBytes / 2, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
    _exit(too_much && a_little && core.rlim_max == 0 && files.rlim_max <= 64 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace hone
