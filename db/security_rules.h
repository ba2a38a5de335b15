// What every SecurityStore refuses, said alike by all of them.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "base/status.h"
#include "proto/security.pb.h"

namespace hone {

Status TokenIsThere();
Status NoSuchToken();
// PermissionDenied if the token was used, or has expired.
Status CheckUsable(const pb::JoinToken& token, bool used, int64_t unix_ms);
// FailedPrecondition unless the entries' numbers are last + 1, last + 2, ...
Status CheckFollows(int64_t last, absl::Span<const pb::AuditEntry> entries);

}  // namespace hone
