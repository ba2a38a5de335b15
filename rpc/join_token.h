// The token with which somebody joins a farm, as an owner hands it over: "hone1.7711.SECRET.PRINT":
// the port where the farm takes it, a secret that is good for once, and the fingerprint by which
// the one who joins knows the farm, so that nobody else can take the secret.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

struct JoinTokenText {
  int port = 0;
  std::string secret;       // 32 hex digits
  std::string fingerprint;  // of the farm's authority, 64 hex digits

  std::string ToString() const;
};

// InvalidArgument if it is none, or a part of it was lost.
StatusOr<JoinTokenText> ParseJoinToken(absl::string_view text);

}  // namespace hone
