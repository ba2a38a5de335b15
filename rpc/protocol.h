// Which version of the messages of proto/ this hone speaks, and whether it can talk to another one.
// Every client says it in the first message of what goes on for long; the tracker asks
// CheckProtocol. Between versions of one major, the newer one knows everything of the older one,
// and the older one passes over what it does not know: fields, and values of enums. So they are
// upgraded in any order. It says nothing about generated code, which CompilerVersion is for.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/protocol.pb.h"

namespace hone {

inline constexpr uint32_t kProtocolMajor = 1;
inline constexpr uint32_t kProtocolMinor = 1;

pb::Protocol ThisProtocol();

// FailedPrecondition, saying which side is to be upgraded, if the major is another. `who`: "agent
// pi-3".
Status CheckProtocol(const pb::Protocol& theirs, absl::string_view who);

}  // namespace hone
