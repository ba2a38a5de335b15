// A candidate ready to run: its code in memory, its own buffers, and the boundary buffers that all
// candidates of a batch share. Used by the batch runner, in the child process only: Prepare and Run
// call code that may do anything.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "device_agent/measure/guarded_buffer.h"
#include "device_agent/measure/watch_page.h"
#include "proto/batch.pb.h"
#include "runtime/elf_loader.h"
#include "runtime/kernel.h"

namespace hone {

// Elements of a buffer with the candidate's parameters put in. INVALID_ARGUMENT when a parameter
// has no value, or an extent is negative or absurd.
StatusOr<int64_t> ElementCount(const pb::BufferInfo& buffer, const pb::Candidate& candidate);

// Inputs, constants and outputs: the same memory for every candidate of a batch, found by name.
struct BoundaryBuffer {
  pb::BufferInfo info;
  int64_t elements = 0;
  GuardedBuffer memory;
};

class LoadedCandidate {
 public:
  // Loads the code and allocates what `boundary` lacks (prepared buffers, scratch), in `lasting` if
  // there is any. `candidate` and `boundary` must outlive this. INVALID_ARGUMENT: the artifact is
  // not one, or its boundary is not the batch's; RESOURCE_EXHAUSTED: no memory.
  static StatusOr<std::unique_ptr<LoadedCandidate>> Load(
      const pb::Candidate& candidate, const std::vector<BoundaryBuffer>& boundary,
      const hone_host& host, LastingMemory* lasting = nullptr);
  ~LoadedCandidate();

  // Runs `prepare`, if it has one, and makes what it wrote read-only. 0, or what it returned.
  int32_t Prepare();
  int32_t Run() { return run_(&args_); }

  // All constants that Run reads, prepared ones included.
  void DropConstantsFromCaches() const;

  // Tells the watcher whose memory lies where.
  void Describe(WatchPage& page) const;
  // The first buffer (boundary included) with something written beside it: "output 'y'"; "" if all
  // are intact.
  std::string FirstOverrun() const;

 private:
  LoadedCandidate(const pb::Candidate& candidate, const std::vector<BoundaryBuffer>& boundary)
      : candidate_(candidate), boundary_(boundary) {}
  Status LoadCode();
  Status PlaceBuffers(const hone_host& host, LastingMemory* lasting);

  struct PrivateBuffer {
    std::string name;  // "prepared 'w_packed'", "scratch"
    bool prepared = false;
    GuardedBuffer memory;
  };

  const pb::Candidate& candidate_;
  const std::vector<BoundaryBuffer>& boundary_;
  hone_elf* elf_ = nullptr;
  hone_kernel_fn run_ = nullptr;
  hone_kernel_fn prepare_ = nullptr;
  std::deque<PrivateBuffer> private_;
  std::vector<const GuardedBuffer*> constants_;  // that Run reads
  std::vector<void*> pointers_;
  std::vector<int64_t> params_;
  hone_kernel_args args_ = {};
};

// "output 'y'"
std::string BufferLabel(const pb::BufferInfo& info);

}  // namespace hone
