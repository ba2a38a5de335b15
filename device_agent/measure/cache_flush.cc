#include "device_agent/measure/cache_flush.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace hone {

#if defined(__x86_64__)

bool CanFlushCaches() { return true; }

void FlushFromCaches(const void* data, int64_t bytes) {
  constexpr int64_t kLineBytes = 64;
  const char* bytes_at = static_cast<const char*>(data);
  // As fast as its weakly ordered sibling where lines are clean, and on every processor.
  for (int64_t at = 0; at < bytes; at += kLineBytes) _mm_clflush(bytes_at + at);
  _mm_mfence();
}

#elif defined(__aarch64__)

bool CanFlushCaches() { return true; }  // Linux lets programs

void FlushFromCaches(const void* data, int64_t bytes) {
  uint64_t cache_type;
  __asm__("mrs %0, ctr_el0" : "=r"(cache_type));
  const int64_t line_bytes = int64_t{4} << ((cache_type >> 16) & 15);
  const char* bytes_at = static_cast<const char*>(data);
  for (int64_t at = 0; at < bytes; at += line_bytes)
    __asm__ volatile("dc civac, %0" : : "r"(bytes_at + at) : "memory");
  __asm__ volatile("dsb ish" : : : "memory");
}

#else

bool CanFlushCaches() { return false; }

void FlushFromCaches(const void*, int64_t) {}

#endif

}  // namespace hone
