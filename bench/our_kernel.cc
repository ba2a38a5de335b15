#include "bench/our_kernel.h"

#include "runtime/fill.h"

namespace hone {

StatusOr<std::unique_ptr<OurKernel>> OurKernel::Make(const pb::Artifact& artifact,
                                                     const hone_host& host) {
  auto kernel = std::unique_ptr<OurKernel>(new OurKernel);
  *kernel->candidate_.mutable_artifact() = artifact;
  kernel->uses_tiles_ = artifact.manifest().needs_tiles();
  uint32_t index = 0;
  for (const pb::BufferInfo& info : artifact.manifest().buffers()) {
    const uint32_t seed_index = index++;
    if (info.role() == pb::BUFFER_ROLE_PREPARED) continue;
    BoundaryBuffer buffer;
    buffer.info = info;
    HONE_ASSIGN_OR_RETURN(buffer.elements, ElementCount(info, kernel->candidate_));
    HONE_ASSIGN_OR_RETURN(buffer.memory, GuardedBuffer::Allocate(buffer.elements * 4));
    hone_fill(buffer.memory.data(), buffer.elements, info.dtype().c_str(), 1, seed_index);
    kernel->boundary_.push_back(std::move(buffer));
  }
  HONE_ASSIGN_OR_RETURN(kernel->loaded_,
                        LoadedCandidate::Load(kernel->candidate_, kernel->boundary_, host));
  if (kernel->uses_tiles_) hone_tiles_configure();
  if (kernel->loaded_->Prepare() != 0) return absl::InternalError("prepare failed");
  return kernel;
}

}  // namespace hone
