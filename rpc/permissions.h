// The one table of who may call what: every method of every service that any program of hone
// serves, with the roles allowed and whether the call is written into the audit trail. What is not
// in it may be called by nobody. Servers ask it for each call (credentials.h); a test holds it
// against all services there are.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "rpc/identity.h"

namespace hone {

enum class Audit {
  kNever,        // it changes nothing
  kSoon,         // written within a moment of the answer, together with others
  kBeforeReply,  // written down before the caller hears that it is done
};

struct MethodRule {
  absl::string_view path;  // "/hone.pb.Farm/Submit"
  uint32_t roles = 0;      // a bit a Role
  Audit audit = Audit::kNever;

  bool Allows(Role role) const { return (roles >> static_cast<int>(role)) & 1U; }
};

absl::Span<const MethodRule> MethodRules();
// Null if there is no such method.
const MethodRule* FindMethodRule(absl::string_view path);

// PermissionDenied says which roles would be allowed. Local peers may call everything that has an
// entry.
Status CheckPermission(const Identity& peer, absl::string_view path);

}  // namespace hone
