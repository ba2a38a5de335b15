#include "device_agent/sandbox/seccomp_profile.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// What has to hold of a call's arguments.
enum class When {
  kAlways,
  kOnOrders,    // the first is the descriptor of the orders
  kReadOnly,    // memory becomes readable and nothing else: rights can only be given up
  kNotRunnable  // memory that is not executable
};

struct Rule {
  const char* name;
  When when = When::kAlways;
};

// Orders come and answers go.
constexpr Rule kCpuRules[] = {
    {"read", When::kOnOrders},
    {"write", When::kOnOrders},
    {"exit"},
    {"exit_group"},
    // Time, and threads that wait for each other.
    {"clock_gettime"},
    {"clock_nanosleep"},
    {"futex"},
    {"getcpu"},
    {"nanosleep"},
    {"restart_syscall"},
    {"rseq"},             // a thread's first steps,
    {"set_robust_list"},  // which it may not have made yet
    {"sched_yield"},
    // Who else had the machine: files that are open.
    {"pread64"},
    // Its own page faults.
    {"getrusage"},
    // The C library's small needs.
    {"brk"},
    {"getpid"},
    {"gettid"},
    {"mprotect", When::kReadOnly},
    {"rt_sigprocmask"},
    {"rt_sigreturn"},
};

// A driver's library maps its device's memory, waits for events and speaks by ioctl; it opens files
// beside its devices, which the file system it is shown has or has not.
constexpr Rule kGpuRules[] = {
    {"close"},     {"eventfd2"}, {"fcntl"},      {"fstat"},
    {"getrandom"}, {"lseek"},    {"madvise"},    {"mmap", When::kNotRunnable},
    {"mremap"},    {"munmap"},   {"newfstatat"}, {"openat"},
    {"poll"},      {"ppoll"},    {"read"},       {"sched_getaffinity"},
};

// The type byte of ioctl requests, by driver: NVIDIA's, DRM's, AMD's KFD. NVIDIA's unified memory
// uses plain small numbers.
constexpr uint64_t kIoctlTypes[] = {'F', 'd', 'K'};
constexpr uint64_t kIoctlTypeMask = 0xff00;
constexpr uint64_t kPlainIoctlMask = 0xffffff00;

constexpr uint64_t kExecutable = 4;  // PROT_EXEC

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

bool Add(const Context& context, const Rule& rule, int orders_fd) {
  const int number = seccomp_syscall_resolve_name(rule.name);
  if (number < 0) return true;  // not of this architecture
  const auto add = [&](unsigned count, scmp_arg_cmp condition) {
    return seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, number, count, condition) == 0;
  };
  switch (rule.when) {
    case When::kAlways:
      return add(0, scmp_arg_cmp{});
    case When::kOnOrders:
      return add(1, {0, SCMP_CMP_EQ, static_cast<uint64_t>(orders_fd), 0});
    case When::kReadOnly:
      return add(1, {2, SCMP_CMP_EQ, PROT_READ, 0});
    case When::kNotRunnable:
      return add(1, {2, SCMP_CMP_MASKED_EQ, kExecutable, 0});
  }
  return false;
}

bool AddIoctls(const Context& context) {
  const int number = seccomp_syscall_resolve_name("ioctl");
  const auto add = [&](uint64_t mask, uint64_t value) {
    const scmp_arg_cmp condition = {1, SCMP_CMP_MASKED_EQ, mask, value};
    return seccomp_rule_add(context.get(), SCMP_ACT_ALLOW, number, 1, condition) == 0;
  };
  for (uint64_t type : kIoctlTypes) {
    if (!add(kIoctlTypeMask, type << 8)) return false;
  }
  return add(kPlainIoctlMask, 0);
}

bool AddAll(const Context& context, DeviceKind kind, int orders_fd) {
  for (const Rule& rule : kCpuRules) {
    if (!Add(context, rule, orders_fd)) return false;
  }
  if (kind == DeviceKind::kCpu) return true;
  for (const Rule& rule : kGpuRules) {
    if (!Add(context, rule, orders_fd)) return false;
  }
  return AddIoctls(context);
}

}  // namespace

std::vector<std::string> AllowedSystemCalls(DeviceKind kind) {
  std::vector<std::string> names;
  for (const Rule& rule : kCpuRules) names.emplace_back(rule.name);
  if (kind == DeviceKind::kCpu) return names;
  for (const Rule& rule : kGpuRules) names.emplace_back(rule.name);
  names.emplace_back("ioctl");
  return names;
}

std::string SystemCallName(int number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
  if (name == nullptr) return absl::StrCat("system call ", number);
  const std::string text(name);
  free(name);
  return text;
}

StatusOr<SeccompProfile> SeccompProfile::Compile(DeviceKind kind, int orders_fd) {
  const auto unavailable = [](absl::string_view step) {
    return absl::UnavailableError(absl::StrCat("the system has no filters of system calls (", step,
                                               "); it takes a Linux with CONFIG_SECCOMP_FILTER"));
  };
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, nullptr) == 0 ||
      errno != EFAULT)
    return unavailable("seccomp");
  const Context context(seccomp_init(SCMP_ACT_TRAP), seccomp_release);
  if (context == nullptr || !AddAll(context, kind, orders_fd)) return unavailable("rules");
  const int file = memfd_create("hone-seccomp", MFD_CLOEXEC);
  struct stat facts = {};
  SeccompProfile profile;
  bool exported = file >= 0 && seccomp_export_bpf(context.get(), file) == 0 &&
                  fstat(file, &facts) == 0 && facts.st_size % sizeof(sock_filter) == 0;
  if (exported) {
    static_assert(sizeof(sock_filter) == sizeof(uint64_t));
    profile.program_.resize(static_cast<size_t>(facts.st_size) / sizeof(sock_filter));
    exported = pread(file, profile.program_.data(), static_cast<size_t>(facts.st_size), 0) ==
               facts.st_size;
  }
  if (file >= 0) close(file);
  if (!exported) return unavailable("compiling the list");
  return profile;
}

bool SeccompProfile::Install() const {
  sock_fprog program = {};
  program.len = static_cast<unsigned short>(program_.size());
  program.filter = reinterpret_cast<sock_filter*>(const_cast<uint64_t*>(program_.data()));
  // Without SPEC_ALLOW older systems would slow down loads after stores: the kernels' times.
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                 SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
}

}  // namespace hone
