// Huge pages that outlast the children of the zygote: each child takes the buffers of its batch
// from the same ones, so that the system need not find and clear fresh memory for every batch. (On
// a virtual machine that costs more than running the kernels.) Guarded buffers take it where there
// is some; where the system has no huge pages to share, there is none, and nothing else changes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hone {

class LastingMemory {
 public:
  static constexpr size_t kPageBytes = size_t{2} << 20;

  // Up to `bytes_max`, which is taken from the system only as it is needed.
  static LastingMemory Create(int64_t bytes_max);
  // What a measuring worker may hold on to: an eighth of the machine's memory, 1 GiB at most.
  static int64_t FairShare();

  LastingMemory(LastingMemory&& other) noexcept;
  LastingMemory& operator=(LastingMemory&&) = delete;
  ~LastingMemory();

  // Puts the next `bytes` at `address`, both multiples of kPageBytes, in place of what is mapped
  // there: present, writable, and with anything in it. False when there is not enough left; what is
  // mapped there then cannot be accessed. A process never gets the same page twice; a forked one
  // begins where its parent was.
  bool MapNext(void* address, size_t bytes);

  // What was mapped is no longer in use: MapNext begins anew, for this process and those it forks.
  void Rewind() {
    taken_ = 0;
    bytes_ = bytes_created_;
  }

  // Gives all pages back to the system. To be called while nobody has any of them mapped.
  void GiveBack();

 private:
  LastingMemory() = default;

  int file_ = -1;     // of memory; -1: the system has none of this kind
  size_t bytes_ = 0;  // that it may have
  size_t bytes_created_ = 0;
  size_t taken_ = 0;
};

}  // namespace hone
