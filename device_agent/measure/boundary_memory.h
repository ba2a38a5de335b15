// BoundaryMemory: what the kernels of a batch read and write, inputs and constants made from seeds,
// and what their outputs should be. The processes of the reference and of the candidates share it.
// Used by BatchRunner, which decides what runs on it; runs nothing itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "device_agent/measure/compare.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/loaded_candidate.h"
#include "proto/batch.pb.h"

namespace hone {

// Where outputs are furthest from what they should be.
struct Deviation {
  Comparison worst;
  const BoundaryBuffer* buffer = nullptr;  // null: nowhere

  bool Right() const { return worst.Right(); }
  // "output 'y': element 17 is 3.5, expected 2.25 (error 12.1 of tolerance 1)"
  std::string ToString() const;
};

class BoundaryMemory {
 public:
  // `batch` must outlive this.
  explicit BoundaryMemory(const pb::Batch& batch) : batch_(batch) {}

  // As the manifest of `model` says what the boundary looks like, filled from the batch's seed, in
  // `memory` unless that is null. INVALID_ARGUMENT: the manifest is none; RESOURCE_EXHAUSTED: no
  // memory.
  Status Allocate(const pb::Candidate& model, LastingMemory* memory);

  const std::vector<BoundaryBuffer>& buffers() const { return buffers_; }
  double bytes() const { return bytes_; }
  // The longest that dropping the constants from the caches may take in one run.
  double flush_limit_ns() const { return flush_limit_ns_; }

  // What every run reads, made from a seed; constants only once, `prepare` depends on them.
  void FillInputs(uint64_t seed);
  // So that what a kernel does not write is wrong.
  void PoisonOutputs();
  // What is in the outputs is what they should be from now on.
  void KeepExpected();
  // The first buffer with something written beside it: "output 'y'"; "" if there is none.
  std::string FirstOverrun() const;

  // Holds the outputs against those that were kept, where any were.
  void CompareWithExpected(Deviation& deviation) const;
  // Holds the outputs against the batch's samples of the oracle, which are of its own seed. Fills
  // the errors of `measurement`.
  void CompareSamples(pb::Measurement& measurement, Deviation& deviation) const;

 private:
  const pb::Batch& batch_;
  std::vector<BoundaryBuffer> buffers_;  // in the order of the model's manifest
  std::vector<int> manifest_index_;      // of each of them, in that manifest
  std::vector<std::string> expected_;    // likewise; empty for what is no output
  double bytes_ = 0;
  double flush_limit_ns_ = 0;
};

}  // namespace hone
