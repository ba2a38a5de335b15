// Loads an artifact into the test process and calls it on tensors, with a host that runs parallel
// loops in uneven pieces on two pretended workers. For tests and benchmarks of generated code.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/tensor.h"
#include "proto/artifact.pb.h"
#include "runtime/elf_loader.h"
#include "runtime/kernel.h"

namespace hone {

class LoadedKernel {
 public:
  static StatusOr<LoadedKernel> Load(const pb::Artifact& artifact);
  LoadedKernel(LoadedKernel&& other) noexcept;
  LoadedKernel& operator=(LoadedKernel&&) = delete;
  ~LoadedKernel();

  hone_kernel_fn run() const { return run_; }
  hone_kernel_fn prepare() const { return prepare_; }  // null if there is none

 private:
  LoadedKernel() = default;
  hone_elf* elf_ = nullptr;
  hone_kernel_fn run_ = nullptr;
  hone_kernel_fn prepare_ = nullptr;
};

// Whether this machine has all that code for the target uses.
bool RunsHere(const Target& target);

// Memory for `bytes`, aligned as kernels want it, filled with 0xFF; freed by free().
void* AlignedMemory(int64_t bytes);

// Runs prepare, if there is one, and then run. `buffers` holds a tensor for every buffer of the
// manifest, by name; those the kernel writes are changed. Scratch is poisoned before each. Buffers
// lie between guard pages, so that the process ends at a write to what is only read, and at an
// access more than a line beyond either end; writes within that line are OutOfRange.
Status RunArtifact(const pb::Artifact& artifact, const std::vector<int64_t>& params,
                   std::map<std::string, Tensor>& buffers);

}  // namespace hone
