// The chain of a farm's audit trail: each entry carries a digest of itself and of the one before,
// so that none can be changed, added or taken away in the middle without it being seen. The tracker
// makes it; whoever reads the trail checks it. Pure: knows no store.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "proto/security.pb.h"

namespace hone {

// What entry.hash must be, given the hash of the entry before ("" for the first).
std::string AuditHash(absl::string_view before, const pb::AuditEntry& entry);

// DataLoss names the first entry that does not follow from the one before: `number` and `hash` of
// that are 0 and "" when the entries begin at the first.
Status CheckAuditChain(int64_t number, absl::string_view hash,
                       absl::Span<const pb::AuditEntry> entries);

}  // namespace hone
