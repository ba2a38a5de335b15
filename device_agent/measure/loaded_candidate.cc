#include "device_agent/measure/loaded_candidate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "device_agent/measure/cache_flush.h"
#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/tile_state.h"

namespace hone {
namespace {

constexpr int64_t kElementsMax = int64_t{1} << 40;

// A parameter's value: the candidate's, or else its maximum.
StatusOr<int64_t> ParamValue(const std::string& name, const pb::Candidate& candidate) {
  const auto given = candidate.params().find(name);
  for (const pb::ParamInfo& param : candidate.artifact().manifest().params()) {
    if (param.name() != name) continue;
    if (given == candidate.params().end()) return param.max();
    if (param.min() <= given->second && given->second <= param.max()) return given->second;
    return absl::InvalidArgumentError(absl::StrCat("parameter '", name, "' is ", given->second,
                                                   ", the kernel takes ", param.min(), " to ",
                                                   param.max()));
  }
  if (given != candidate.params().end()) return given->second;
  return absl::InvalidArgumentError(absl::StrCat("manifest: nothing says what '", name, "' is"));
}

bool SameExtents(const pb::BufferInfo& a, const pb::BufferInfo& b) {
  return std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end(),
                    [](const pb::Extent& x, const pb::Extent& y) {
                      return x.value() == y.value() && x.param() == y.param();
                    });
}

absl::string_view RoleWord(pb::BufferRole role) {
  switch (role) {
    case pb::BUFFER_ROLE_INPUT:
      return "input";
    case pb::BUFFER_ROLE_CONSTANT:
      return "constant";
    case pb::BUFFER_ROLE_PREPARED:
      return "prepared";
    case pb::BUFFER_ROLE_OUTPUT:
      return "output";
    default:
      return "buffer";
  }
}

}  // namespace

std::string BufferLabel(const pb::BufferInfo& info) {
  return absl::StrCat(RoleWord(info.role()), " '", info.name(), "'");
}

StatusOr<int64_t> ElementCount(const pb::BufferInfo& buffer, const pb::Candidate& candidate) {
  int64_t count = 1;
  for (const pb::Extent& extent : buffer.shape()) {
    int64_t value = extent.value();
    if (!extent.param().empty()) {
      HONE_ASSIGN_OR_RETURN(value, ParamValue(extent.param(), candidate));
    }
    if (value < 0 || (value > 0 && count > kElementsMax / value))
      return absl::InvalidArgumentError(
          absl::StrCat("manifest: ", BufferLabel(buffer), " has an extent of ", value));
    count *= value;
  }
  return count;
}

StatusOr<std::unique_ptr<LoadedCandidate>> LoadedCandidate::Load(
    const pb::Candidate& candidate, const std::vector<BoundaryBuffer>& boundary,
    const hone_host& host, LastingMemory* lasting) {
  std::unique_ptr<LoadedCandidate> loaded(new LoadedCandidate(candidate, boundary));
  HONE_RETURN_IF_ERROR(loaded->LoadCode());
  HONE_RETURN_IF_ERROR(loaded->PlaceBuffers(host, lasting));
  return loaded;
}

LoadedCandidate::~LoadedCandidate() { hone_elf_unload(elf_); }

Status LoadedCandidate::LoadCode() {
  const std::string& code = candidate_.artifact().code();
  hone_error error = {};
  if (candidate_.artifact().manifest().needs_tiles() && hone_tiles_permit(&error) != HONE_OK)
    return absl::InvalidArgumentError(error.message);
  elf_ = hone_elf_load(code.data(), code.size(), &error);
  if (elf_ == nullptr) {
    return error.code == HONE_ERROR_NO_MEMORY ? absl::ResourceExhaustedError(error.message)
                                              : absl::InvalidArgumentError(error.message);
  }
  run_ = reinterpret_cast<hone_kernel_fn>(hone_elf_function(elf_, HONE_RUN_SYMBOL));
  prepare_ = reinterpret_cast<hone_kernel_fn>(hone_elf_function(elf_, HONE_PREPARE_SYMBOL));
  if (run_ == nullptr)
    return absl::InvalidArgumentError("the code has no function " HONE_RUN_SYMBOL);
  if (candidate_.artifact().manifest().has_prepare() && prepare_ == nullptr)
    return absl::InvalidArgumentError("the code has no function " HONE_PREPARE_SYMBOL
                                      ", but the manifest says so");
  return absl::OkStatus();
}

Status LoadedCandidate::PlaceBuffers(const hone_host& host, LastingMemory* lasting) {
  const pb::Manifest& manifest = candidate_.artifact().manifest();
  for (const pb::BufferInfo& info : manifest.buffers()) {
    if (info.role() == pb::BUFFER_ROLE_PREPARED) {
      const int64_t element_bytes = hone_dtype_bytes(info.dtype().c_str());
      if (element_bytes == 0)
        return absl::InvalidArgumentError(
            absl::StrCat("manifest: '", info.dtype(), "' is no element type"));
      HONE_ASSIGN_OR_RETURN(const int64_t elements, ElementCount(info, candidate_));
      HONE_ASSIGN_OR_RETURN(GuardedBuffer memory,
                            GuardedBuffer::Allocate(elements * element_bytes, lasting));
      pointers_.push_back(memory.data());
      private_.push_back({BufferLabel(info), true, std::move(memory)});
      constants_.push_back(&private_.back().memory);
      continue;
    }
    const auto shared =
        std::find_if(boundary_.begin(), boundary_.end(),
                     [&](const BoundaryBuffer& b) { return b.info.name() == info.name(); });
    HONE_ASSIGN_OR_RETURN(const int64_t elements, ElementCount(info, candidate_));
    if (shared == boundary_.end() || shared->info.role() != info.role() ||
        shared->elements != elements || shared->info.dtype() != info.dtype() ||
        shared->info.layout() != info.layout() || !SameExtents(shared->info, info))
      return absl::InvalidArgumentError(
          absl::StrCat(BufferLabel(info),
                       " differs from the reference's in role, type, shape or "
                       "layout, so the results cannot be compared"));
    pointers_.push_back(shared->memory.data());
    if (info.role() == pb::BUFFER_ROLE_CONSTANT && !info.prepare_only())
      constants_.push_back(&shared->memory);
  }
  for (const pb::ParamInfo& param : manifest.params()) {
    HONE_ASSIGN_OR_RETURN(const int64_t value, ParamValue(param.name(), candidate_));
    params_.push_back(value);
  }
  if (manifest.scratch_shared_bytes() < 0 || manifest.scratch_worker_bytes() < 0)
    return absl::InvalidArgumentError("manifest: negative scratch");
  HONE_ASSIGN_OR_RETURN(
      GuardedBuffer scratch,
      GuardedBuffer::Allocate(
          manifest.scratch_shared_bytes() + host.thread_count * manifest.scratch_worker_bytes(),
          lasting));
  args_ = {pointers_.data(), params_.data(), scratch.data(), &host};
  private_.push_back({"scratch", false, std::move(scratch)});
  return absl::OkStatus();
}

int32_t LoadedCandidate::Prepare() {
  if (!candidate_.artifact().manifest().has_prepare()) return 0;
  const int32_t result = prepare_(&args_);
  for (PrivateBuffer& buffer : private_) {
    if (buffer.prepared) buffer.memory.MakeReadOnly();
  }
  return result;
}

void LoadedCandidate::DropConstantsFromCaches() const {
  for (const GuardedBuffer* buffer : constants_) FlushFromCaches(buffer->data(), buffer->bytes());
}

void LoadedCandidate::Describe(WatchPage& page) const {
  page.region_count.store(0);
  for (const BoundaryBuffer& buffer : boundary_)
    page.AddRegion(BufferLabel(buffer.info), buffer.memory.data(), buffer.memory.bytes());
  for (const PrivateBuffer& buffer : private_)
    page.AddRegion(buffer.name, buffer.memory.data(), buffer.memory.bytes());
}

std::string LoadedCandidate::FirstOverrun() const {
  for (const BoundaryBuffer& buffer : boundary_) {
    if (!buffer.memory.CanariesIntact()) return BufferLabel(buffer.info);
  }
  for (const PrivateBuffer& buffer : private_) {
    if (!buffer.memory.CanariesIntact()) return buffer.name;
  }
  return "";
}

}  // namespace hone
