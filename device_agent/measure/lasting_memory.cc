#include "device_agent/measure/lasting_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace hone {
namespace {

// Of Linux 6.1; younger than the C library's headers.
#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;
#endif

}  // namespace

LastingMemory LastingMemory::Create(int64_t bytes_max) {
  LastingMemory memory;
  const size_t bytes =
      static_cast<size_t>(std::max<int64_t>(bytes_max, 0)) / kPageBytes * kPageBytes;
  memory.file_ = memfd_create("hone-buffers", MFD_CLOEXEC);
  if (memory.file_ < 0 || ftruncate(memory.file_, static_cast<off_t>(bytes)) != 0) return memory;
  memory.bytes_ = bytes;
  // Whether there are huge pages of this kind is found by taking one.
  void* reserved = mmap(nullptr, 2 * kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return memory;
  char* aligned = static_cast<char*>(reserved);
  aligned += -reinterpret_cast<uintptr_t>(aligned) % kPageBytes;
  memory.MapNext(aligned, kPageBytes);
  munmap(reserved, 2 * kPageBytes);
  memory.taken_ = 0;
  memory.bytes_created_ = memory.bytes_;
  memory.GiveBack();
  return memory;
}

int64_t LastingMemory::FairShare() {
  constexpr int64_t kMost = int64_t{1} << 30;
  return std::min(kMost, int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE) / 8);
}

LastingMemory::LastingMemory(LastingMemory&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      bytes_(std::exchange(other.bytes_, 0)),
      bytes_created_(std::exchange(other.bytes_created_, 0)),
      taken_(std::exchange(other.taken_, 0)) {}

LastingMemory::~LastingMemory() {
  if (file_ >= 0) close(file_);
}

bool LastingMemory::MapNext(void* address, size_t bytes) {
  if (bytes > bytes_ - taken_) return false;
  if (mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_,
           static_cast<off_t>(taken_)) == address) {
    // The first to take a huge page has a small one in it made huge: collapsing wants something to
    // copy, and has to clear the rest. Everyone after finds it huge.
    volatile char* bytes_at = static_cast<char*>(address);
    for (size_t at = 0; at < bytes; at += kPageBytes) bytes_at[at] = 0;
    if (madvise(address, bytes, MADV_COLLAPSE) == 0 &&
        madvise(address, bytes, MADV_POPULATE_WRITE) == 0) {
      taken_ += bytes;
      return true;
    }
  }
  bytes_ = taken_;  // trying costs more than fresh memory does
  mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return false;
}

void LastingMemory::GiveBack() {
  if (file_ >= 0)
    fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes_));
}

}  // namespace hone
