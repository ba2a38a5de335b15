#include "tests/codegen/kernel_runner.h"

#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kGuardBytes = 256;
constexpr int kPoison = 0xEE;
constexpr int64_t kWorkers = 2;

void RunInPieces(const hone_host*, int64_t count, hone_parallel_body body, const void* context) {
  // Backwards, so that an order between iterations would be noticed.
  const int64_t half = count / 3;
  if (half < count) body(context, half, count, 1);
  if (half > 0) body(context, 0, half, 0);
}

struct Free {
  void operator()(void* memory) const { free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

}  // namespace

void* AlignedMemory(int64_t bytes) {
  const int64_t rounded = (bytes + HONE_ALIGNMENT - 1) / HONE_ALIGNMENT * HONE_ALIGNMENT;
  void* memory = aligned_alloc(HONE_ALIGNMENT,
                               static_cast<size_t>(std::max<int64_t>(HONE_ALIGNMENT, rounded)));
  std::memset(memory, kPoison, static_cast<size_t>(std::max<int64_t>(HONE_ALIGNMENT, rounded)));
  return memory;
}

StatusOr<LoadedKernel> LoadedKernel::Load(const pb::Artifact& artifact) {
  hone_error error = {};
  LoadedKernel kernel;
  kernel.elf_ = hone_elf_load(artifact.code().data(), artifact.code().size(), &error);
  if (kernel.elf_ == nullptr) return absl::InternalError(error.message);
  kernel.run_ = reinterpret_cast<hone_kernel_fn>(hone_elf_function(kernel.elf_, HONE_RUN_SYMBOL));
  kernel.prepare_ =
      reinterpret_cast<hone_kernel_fn>(hone_elf_function(kernel.elf_, HONE_PREPARE_SYMBOL));
  if (kernel.run_ == nullptr) return absl::InternalError("the kernel has no hone_run");
  return kernel;
}

LoadedKernel::LoadedKernel(LoadedKernel&& other) noexcept
    : elf_(std::exchange(other.elf_, nullptr)), run_(other.run_), prepare_(other.prepare_) {}

LoadedKernel::~LoadedKernel() { hone_elf_unload(elf_); }

Status RunArtifact(const pb::Artifact& artifact, const std::vector<int64_t>& params,
                   std::map<std::string, Tensor>& buffers) {
  HONE_ASSIGN_OR_RETURN(const LoadedKernel kernel, LoadedKernel::Load(artifact));
  const pb::Manifest& manifest = artifact.manifest();
  std::vector<Memory> memory;
  std::vector<void*> pointers;
  for (const pb::BufferInfo& info : manifest.buffers()) {
    const auto found = buffers.find(info.name());
    if (found == buffers.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no tensor for buffer ", info.name()));
    }
    memory.emplace_back(AlignedMemory(found->second.Bytes() + kGuardBytes));
    pointers.push_back(memory.back().get());
    std::memcpy(pointers.back(), found->second.bytes.data(), found->second.bytes.size());
  }
  const Memory scratch(
      AlignedMemory(manifest.scratch_shared_bytes() + kWorkers * manifest.scratch_worker_bytes()));
  const hone_host host = {.parallel_for = RunInPieces, .thread_count = kWorkers};
  const hone_kernel_args args = {
      .buffers = pointers.data(), .params = params.data(), .scratch = scratch.get(), .host = &host};
  if (manifest.has_prepare() && kernel.prepare()(&args) != 0) {
    return absl::InternalError("hone_prepare failed");
  }
  if (kernel.run()(&args) != 0) return absl::InternalError("hone_run failed");
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    Tensor& tensor = buffers.at(manifest.buffers(i).name());
    const auto* bytes = static_cast<const unsigned char*>(pointers[static_cast<size_t>(i)]);
    std::memcpy(tensor.bytes.data(), bytes, tensor.bytes.size());
    for (int64_t k = tensor.Bytes(); k < tensor.Bytes() + kGuardBytes; ++k) {
      if (bytes[k] != kPoison) {
        return absl::OutOfRangeError(absl::StrCat("the kernel wrote ", k - tensor.Bytes(),
                                                  " bytes beyond buffer ",
                                                  manifest.buffers(i).name()));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
