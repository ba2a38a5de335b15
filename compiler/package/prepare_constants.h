// Runs `prepare` of a kernel on the constants of one call, here and now, so that a compiled model
// holds what its kernels read instead of what they would have to rearrange at every start. Used by
// build_package, for artifacts made for the machine it runs on.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/artifact.pb.h"

namespace hone {

// Bytes of a buffer as the manifest describes it; parameters at their maximum.
int64_t BufferBytes(const pb::BufferInfo& buffer);

// `constants` has one entry a buffer of the manifest, empty for all but constants. Returns one
// entry a buffer, empty for all but prepared ones. Errors: code that does not load here, constants
// of the wrong size.
StatusOr<std::vector<std::string>> PrepareConstants(
    const pb::Artifact& artifact, const std::vector<absl::string_view>& constants);

}  // namespace hone
