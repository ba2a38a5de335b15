#include "compiler/package/prepare_constants.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "compiler/ir/dtype.h"
#include "runtime/elf_loader.h"
#include "runtime/kernel.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

struct Unload {
  void operator()(hone_elf* elf) const { hone_elf_unload(elf); }
};
struct Destroy {
  void operator()(hone_pool* pool) const { hone_pool_destroy(pool); }
};
struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<void, Free>;

// Zeroed, so that padding in prepared buffers is the same in every build.
AlignedMemory AllocateAligned(int64_t bytes) {
  const size_t rounded =
      (static_cast<size_t>(bytes) / HONE_ALIGNMENT + 1) * static_cast<size_t>(HONE_ALIGNMENT);
  AlignedMemory memory(std::aligned_alloc(HONE_ALIGNMENT, rounded));
  if (memory != nullptr) std::memset(memory.get(), 0, rounded);
  return memory;
}

}  // namespace

int64_t BufferBytes(const pb::BufferInfo& buffer) {
  const StatusOr<DType> dtype = ParseDType(buffer.dtype());
  if (!dtype.ok()) return 0;
  int64_t count = 1;
  for (const pb::Extent& extent : buffer.shape()) count *= extent.value();
  return count * DTypeBytes(*dtype);
}

StatusOr<std::vector<std::string>> PrepareConstants(
    const pb::Artifact& artifact, const std::vector<absl::string_view>& constants) {
  const pb::Manifest& manifest = artifact.manifest();
  std::vector<std::string> prepared(manifest.buffers_size());
  if (!manifest.has_prepare()) return prepared;

  hone_error error = {};
  const std::unique_ptr<hone_elf, Unload> elf(
      hone_elf_load(artifact.code().data(), artifact.code().size(), &error));
  if (elf == nullptr) return absl::FailedPreconditionError(error.message);
  const auto prepare =
      reinterpret_cast<hone_kernel_fn>(hone_elf_function(elf.get(), HONE_PREPARE_SYMBOL));
  if (prepare == nullptr) {
    return absl::InternalError(
        absl::StrCat("kernel has no function ", HONE_PREPARE_SYMBOL, ", but its manifest says so"));
  }
  const std::unique_ptr<hone_pool, Destroy> pool(hone_pool_create(1, &error));
  if (pool == nullptr) return absl::ResourceExhaustedError(error.message);

  std::vector<AlignedMemory> memory(manifest.buffers_size());
  std::vector<void*> buffers(manifest.buffers_size(), nullptr);
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const pb::BufferInfo& buffer = manifest.buffers(i);
    const int64_t bytes = BufferBytes(buffer);
    const bool constant = buffer.role() == pb::BUFFER_ROLE_CONSTANT;
    if (!constant && buffer.role() != pb::BUFFER_ROLE_PREPARED) continue;
    if (constant && static_cast<int64_t>(constants[i].size()) != bytes) {
      return absl::InternalError(absl::StrCat("constant '", buffer.name(), "' has ",
                                              constants[i].size(), " bytes, its kernel reads ",
                                              bytes));
    }
    memory[i] = AllocateAligned(bytes);
    if (memory[i] == nullptr) return absl::ResourceExhaustedError("no memory to prepare constants");
    if (constant) std::memcpy(memory[i].get(), constants[i].data(), constants[i].size());
    buffers[i] = memory[i].get();
  }
  std::vector<int64_t> params;
  for (const pb::ParamInfo& param : manifest.params()) params.push_back(param.max());
  const AlignedMemory scratch =
      AllocateAligned(manifest.scratch_shared_bytes() + manifest.scratch_worker_bytes());
  const hone_kernel_args args = {.buffers = buffers.data(),
                                 .params = params.data(),
                                 .scratch = scratch.get(),
                                 .host = hone_pool_host(pool.get())};
  if (const int32_t result = prepare(&args); result != 0) {
    return absl::InternalError(absl::StrCat(HONE_PREPARE_SYMBOL, " failed with ", result));
  }
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    if (manifest.buffers(i).role() == pb::BUFFER_ROLE_PREPARED) {
      prepared[i].assign(static_cast<const char*>(buffers[i]), BufferBytes(manifest.buffers(i)));
    }
  }
  return prepared;
}

}  // namespace hone
