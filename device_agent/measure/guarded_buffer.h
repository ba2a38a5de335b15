// Memory for a kernel's buffers in which a write outside is noticed: an inaccessible page follows
// the last 64-byte line, another lies before, and the bytes between are canaries. Used by the
// agent's worker for everything a candidate touches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "device_agent/measure/lasting_memory.h"

namespace hone {

class GuardedBuffer {
 public:
  // `bytes` (0 is fine) at a multiple of 64, in huge pages where the system has them. Zeroed, and
  // present: touching it later faults no page. Huge pages are taken from `lasting` as long as it
  // has any. kShared: processes forked later see the same memory. RESOURCE_EXHAUSTED when there is
  // no memory.
  enum class Sharing { kPrivate, kShared };
  static StatusOr<GuardedBuffer> Allocate(int64_t bytes, LastingMemory* lasting = nullptr,
                                          Sharing sharing = Sharing::kPrivate);

  GuardedBuffer() = default;
  GuardedBuffer(GuardedBuffer&& other) noexcept;
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept;
  ~GuardedBuffer();

  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // From now on a write, in this process, is a SIGSEGV.
  void MakeReadOnly() const;
  // In a forked process: maps all of it, as it may be used, so that touching it faults no page.
  void MakePresent() const;
  // Overwrites all of it with `byte`.
  void Fill(unsigned char byte);
  // False when something was written just before or just after the buffer.
  bool CanariesIntact() const;

 private:
  // [mapping_: guard pages][begin_: canaries][data_: bytes_][canaries, < 64][end_: guard pages]
  char* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  char* begin_ = nullptr;
  char* data_ = nullptr;
  char* end_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace hone
