#include "device_agent/sandbox/landlock.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace hone {
namespace {

constexpr uint64_t kAllOfFirstVersion = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

}  // namespace

bool HasLandlock() {
  return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

bool RefuseAllFiles() {
  const landlock_ruleset_attr attributes = {.handled_access_fs = kAllOfFirstVersion};
  const int rules =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0));
  if (rules < 0) return false;
  const bool refused = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  close(rules);
  return refused;
}

}  // namespace hone
