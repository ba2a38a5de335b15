// The limits of a process that runs kernels, as setrlimit has them: the walls that every system
// has. Lowered in two steps, since getting ready takes memory and threads that running does not.
#pragma once

#include <cstdint>

namespace hone {

// Before anything of a batch is loaded: no core dumps, no files written, no locked memory, no more
// memory than the machine has, `cpu_s` seconds of CPU time.
void LimitWhileLoading(int64_t cpu_s);

// When all is loaded: nobody starts a process or thread, opens more than a few files, or takes more
// than kRoomBytes on top of what is mapped.
inline constexpr int64_t kRoomBytes = int64_t{256} << 20;
void LimitWhileRunning();

}  // namespace hone
