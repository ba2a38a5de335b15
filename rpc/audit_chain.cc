#include "rpc/audit_chain.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"

namespace hone {

std::string AuditHash(absl::string_view before, const pb::AuditEntry& entry) {
  // One field a line, and no field with a line's end in it: no two entries have one text.
  const std::string fields[] = {std::string(before),           absl::StrCat(entry.number()),
                                absl::StrCat(entry.unix_ms()), absl::CEscape(entry.identity()),
                                absl::CEscape(entry.method()), absl::StrCat(entry.calls()),
                                absl::StrCat(entry.outcome()), absl::CEscape(entry.request()),
                                absl::CEscape(entry.what())};
  return Digest(absl::StrJoin(fields, "\n"));
}

Status CheckAuditChain(int64_t number, absl::string_view hash,
                       absl::Span<const pb::AuditEntry> entries) {
  std::string before(hash);
  for (const pb::AuditEntry& entry : entries) {
    ++number;
    if (entry.number() != number) {
      return absl::DataLossError(
          absl::StrCat("the audit trail lacks entry ", number, ": ", entry.number(),
                       " stands in its place; it was tampered with or damaged"));
    }
    if (entry.hash() != AuditHash(before, entry)) {
      return absl::DataLossError(absl::StrCat(
          "entry ", number, " of the audit trail does not follow from the one before: ",
          "it or that one was changed"));
    }
    before = entry.hash();
  }
  return absl::OkStatus();
}

}  // namespace hone
