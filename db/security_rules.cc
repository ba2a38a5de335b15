#include "db/security_rules.h"

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr absl::string_view kAskForAnother =
    "; ask an owner of the farm for another (hone farm token)";

}  // namespace

Status TokenIsThere() { return absl::AlreadyExistsError("there is such a token already"); }

Status NoSuchToken() {
  return absl::PermissionDeniedError(absl::StrCat("the farm knows no such token", kAskForAnother));
}

Status CheckUsable(const pb::JoinToken& token, bool used, int64_t unix_ms) {
  if (used) {
    return absl::PermissionDeniedError(absl::StrCat("the token for ", token.identity(),
                                                    " was used before: each is good for once",
                                                    kAskForAnother));
  }
  if (token.expires_unix_ms() <= unix_ms) {
    return absl::PermissionDeniedError(
        absl::StrCat("the token for ", token.identity(), " has expired", kAskForAnother));
  }
  return absl::OkStatus();
}

Status CheckFollows(int64_t last, absl::Span<const pb::AuditEntry> entries) {
  for (const pb::AuditEntry& entry : entries) {
    if (entry.number() != ++last) {
      return absl::FailedPreconditionError(
          absl::StrCat("entry ", entry.number(), " does not follow in the audit trail, where ",
                       last, " is next"));
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
