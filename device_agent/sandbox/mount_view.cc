#include "device_agent/sandbox/mount_view.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr unsigned long kInert = MS_NOSUID | MS_NODEV | MS_NOEXEC;

Status Refused(absl::string_view step) {
  const int error = errno;
  return absl::PermissionDeniedError(
      absl::StrCat("the system refuses a file system of its own (", step, ": ", strerror(error),
                   "); in a container, allow mounts and do not mask /proc"));
}

}  // namespace

Status EmptyTheRoot() {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Refused("private mounts");
  // Any folder that is there serves; it is hidden and then gone.
  if (mount("none", "/proc", "tmpfs", kInert, "size=64k,nr_inodes=64,mode=755") != 0 ||
      chdir("/proc") != 0)
    return Refused("tmpfs");
  mkdir("proc", 0555);
  for (const char* folder : {"sys", "sys/devices", "sys/devices/system", "sys/devices/system/cpu"})
    mkdir(folder, 0555);
  if (mount("none", "proc", "proc", kInert, nullptr) != 0) return Refused("proc");
  // Who else had the machine is read from there; without it, less is known.
  if (mount("/sys/devices/system/cpu", "sys/devices/system/cpu", nullptr, MS_BIND | MS_REC,
            nullptr) == 0) {
    mount(nullptr, "sys/devices/system/cpu", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kInert,
          nullptr);
  }
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Refused("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return Refused("umount of the old root");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kInert, nullptr) != 0)
    return Refused("read-only root");
  return chdir("/") == 0 ? absl::OkStatus() : Refused("chdir");
}

}  // namespace hone
