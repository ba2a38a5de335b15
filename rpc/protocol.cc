#include "rpc/protocol.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hone {

pb::Protocol ThisProtocol() {
  pb::Protocol protocol;
  protocol.set_major_version(kProtocolMajor);
  protocol.set_minor_version(kProtocolMinor);
  return protocol;
}

Status CheckProtocol(const pb::Protocol& theirs, absl::string_view who) {
  // Those who do not say it are older than the question.
  const uint32_t major = std::max<uint32_t>(theirs.major_version(), 1);
  if (major == kProtocolMajor) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(who, " speaks protocol ", major, ".", theirs.minor_version(),
                   ", and this tracker ", kProtocolMajor, ".", kProtocolMinor, ": upgrade ",
                   major > kProtocolMajor ? "the tracker first, then everybody else" : who));
}

}  // namespace hone
