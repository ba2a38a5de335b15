#include "device_agent/sandbox/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr uid_t kNobody = 65534;

Status Failed(absl::string_view what) {
  return absl::PermissionDeniedError(absl::StrCat("sandbox: ", what, ": ", strerror(errno)));
}

}  // namespace

Status DropRoot() {
  if (geteuid() != 0) return absl::OkStatus();
  // By system calls: the C library's functions talk to all threads, and there is one.
  if (syscall(SYS_setgroups, 0, nullptr) != 0) return Failed("setgroups");
  if (syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0) return Failed("setresgid");
  if (syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0) return Failed("setresuid");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 1);  // or /proc/self would stay root's, whose files namespaces need
  return absl::OkStatus();
}

Status DropCapabilities() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("no_new_privs");
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Failed("capset");
  prctl(PR_SET_DUMPABLE, 0);
  return absl::OkStatus();
}

}  // namespace hone
