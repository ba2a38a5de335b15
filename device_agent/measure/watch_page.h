// A page shared by the worker and a process that runs kernels: that it still moves, where buffers
// lie, and how it came to its end. The process writes it without a system call, so watching costs a
// kernel nothing; the worker reads it to find hung kernels and to describe crashes. A hostile
// kernel can write it too, which at worst makes the description of its own end wrong.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace hone {

struct WatchPage {
  static constexpr int kRegionsMax = 48;

  struct Region {
    uint64_t begin = 0;
    uint64_t bytes = 0;
    char name[48] = {};  // "output 'y'"
  };

  std::atomic<uint64_t> beat{0};            // rises with every step of the process
  std::atomic<uint64_t> fault_address{0};   // of the signal that ended it; 0 for none
  std::atomic<int32_t> forbidden_call{-1};  // the system call that ended it; -1 for none
  std::atomic<int32_t> region_count{0};
  Region regions[kRegionsMax];  // the buffers of the candidate at work

  void Beat() { beat.fetch_add(1, std::memory_order_relaxed); }
  void AddRegion(absl::string_view name, const void* begin, int64_t bytes);
};

static_assert(sizeof(WatchPage) <= 4096);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace hone
