// Writes memory back and drops it from all caches of all cores, so that the next read comes from
// main memory. That is how a kernel finds its constants in a model that is larger than the caches:
// the other kernels' have pushed them out since. Used before timed runs; times nothing.
#pragma once

#include <cstdint>

namespace hone {

// Whether programs may do it on this processor.
bool CanFlushCaches();

// Some 2 ns for each 64 bytes. Nothing where it cannot be done.
void FlushFromCaches(const void* data, int64_t bytes);

}  // namespace hone
