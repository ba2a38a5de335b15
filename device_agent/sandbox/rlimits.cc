#include "device_agent/sandbox/rlimits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

namespace hone {
namespace {

void Limit(__rlimit_resource resource, int64_t value) {
  rlimit limit = {};
  getrlimit(resource, &limit);
  const rlim_t wanted = static_cast<rlim_t>(value);
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted) limit.rlim_max = wanted;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(resource, &limit);
}

#if !defined(HONE_SANITIZED)
// The address space in use; 0 when the system does not say.
int64_t MappedBytes() {
  char text[64] = {};
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  return n > 0 ? strtoll(text, nullptr, 10) * sysconf(_SC_PAGESIZE) : 0;
}
#endif

constexpr int64_t kFilesMax = 64;

}  // namespace

void LimitWhileLoading(int64_t cpu_s) {
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_FSIZE, 0);
  Limit(RLIMIT_MEMLOCK, 0);
  Limit(RLIMIT_MSGQUEUE, 0);
  Limit(RLIMIT_CPU, cpu_s);
#if !defined(HONE_SANITIZED)  // whose shadow takes terabytes of addresses
  Limit(RLIMIT_AS, int64_t{sysconf(_SC_PAGESIZE)} * sysconf(_SC_PHYS_PAGES));
#endif
}

void LimitWhileRunning() {
  Limit(RLIMIT_NPROC, 0);
#if !defined(HONE_SANITIZED)
  Limit(RLIMIT_NOFILE, kFilesMax);
  if (const int64_t mapped = MappedBytes(); mapped > 0) Limit(RLIMIT_AS, mapped + kRoomBytes);
#endif
}

}  // namespace hone
