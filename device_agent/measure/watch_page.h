// A page shared by the zygote and the child that runs a batch: what the child is at, and that it
// still moves. The child writes it without a system call, so watching costs a kernel nothing; the
// zygote reads it to find hung kernels and, after a crash, whose fault it was. A hostile kernel can
// write it too, which at worst blames the wrong candidate of its own batch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace hone {

struct WatchPage {
  static constexpr int kNoCandidate = -2;
  static constexpr int kReference = -1;
  static constexpr int kRegionsMax = 48;

  struct Region {
    uint64_t begin = 0;
    uint64_t bytes = 0;
    char name[48] = {};  // "output 'y'"
  };

  std::atomic<int32_t> candidate{kNoCandidate};  // at work, as index into the batch
  std::atomic<uint64_t> beat{0};                 // rises with every step of the child
  std::atomic<uint64_t> fault_address{0};        // of the signal that ended the child; 0 for none
  std::atomic<int32_t> region_count{0};
  Region regions[kRegionsMax];  // the buffers of the candidate at work

  void Beat() { beat.fetch_add(1, std::memory_order_relaxed); }
  void AddRegion(absl::string_view name, const void* begin, int64_t bytes);
};

static_assert(sizeof(WatchPage) <= 4096);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace hone
