#include "tests/codegen/kernel_runner.h"

#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "device_agent/measure/guarded_buffer.h"
#include "runtime/cpu_features.h"
#include "runtime/tile_state.h"

namespace hone {
namespace {

constexpr int kPoison = 0xFF;  // NaN, as reals
constexpr int64_t kWorkers = 2;

void RunInPieces(const hone_host*, int64_t count, hone_parallel_body body, const void* context) {
  // Backwards, so that an order between iterations would be noticed.
  const int64_t half = count / 3;
  if (half < count) body(context, half, count, 1);
  if (half > 0) body(context, 0, half, 0);
}

bool Writes(const pb::BufferInfo& info) {
  return info.role() == pb::BUFFER_ROLE_OUTPUT || info.role() == pb::BUFFER_ROLE_PREPARED;
}

}  // namespace

bool RunsHere(const Target& target) {
  const hone_cpu cpu = hone_cpu_read();
  char missing[256];
  return hone_cpu_missing(&cpu, absl::StrJoin(target.features, ",").c_str(), missing,
                          sizeof(missing)) == 0;
}

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
  if (artifact.manifest().needs_tiles()) {
    if (hone_tiles_permit(&error) != HONE_OK) return absl::InternalError(error.message);
    hone_tiles_configure();
  }
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
  std::vector<GuardedBuffer> memory;
  std::vector<void*> pointers;
  for (const pb::BufferInfo& info : manifest.buffers()) {
    const auto found = buffers.find(info.name());
    if (found == buffers.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no tensor for buffer ", info.name()));
    }
    const Tensor& tensor = found->second;
    HONE_ASSIGN_OR_RETURN(GuardedBuffer buffer, GuardedBuffer::Allocate(tensor.Bytes()));
    if (tensor.Bytes() > 0) std::memcpy(buffer.data(), tensor.bytes.data(), tensor.bytes.size());
    if (!Writes(info)) buffer.MakeReadOnly();
    memory.push_back(std::move(buffer));
    pointers.push_back(memory.back().data());
  }
  HONE_ASSIGN_OR_RETURN(GuardedBuffer scratch,
                        GuardedBuffer::Allocate(manifest.scratch_shared_bytes() +
                                                kWorkers * manifest.scratch_worker_bytes()));
  scratch.Fill(kPoison);
  const hone_host host = {.parallel_for = RunInPieces, .thread_count = kWorkers};
  const hone_kernel_args args = {.buffers = pointers.data(),
                                 .params = params.data(),
                                 .scratch = scratch.data(),
                                 .host = &host};
  if (manifest.has_prepare()) {
    if (kernel.prepare()(&args) != 0) return absl::InternalError("hone_prepare failed");
    scratch.Fill(kPoison);
    for (int i = 0; i < manifest.buffers_size(); ++i) {
      const pb::BufferInfo& info = manifest.buffers(i);
      if (info.role() == pb::BUFFER_ROLE_PREPARED) memory[static_cast<size_t>(i)].MakeReadOnly();
      if (info.prepare_only()) pointers[static_cast<size_t>(i)] = nullptr;  // as in compiled models
    }
  }
  if (kernel.run()(&args) != 0) return absl::InternalError("hone_run failed");
  if (!scratch.CanariesIntact()) {
    return absl::OutOfRangeError("the kernel wrote beyond its scratch");
  }
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const pb::BufferInfo& info = manifest.buffers(i);
    const GuardedBuffer& buffer = memory[static_cast<size_t>(i)];
    if (!buffer.CanariesIntact()) {
      return absl::OutOfRangeError(absl::StrCat("the kernel wrote beyond buffer ", info.name()));
    }
    Tensor& tensor = buffers.at(info.name());
    if (tensor.Bytes() > 0) std::memcpy(tensor.bytes.data(), buffer.data(), tensor.bytes.size());
  }
  return absl::OkStatus();
}

}  // namespace hone
