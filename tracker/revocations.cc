#include "tracker/revocations.h"

#include "absl/strings/str_cat.h"
#include "rpc/certificates.h"

namespace hone {

void Revocations::Update(const pb::FarmPolicy& policy) {
  absl::MutexLock lock(&mutex_);
  by_identity_.clear();
  for (const pb::Revocation& one : policy.revoked()) by_identity_[one.identity()] = one;
}

Status Revocations::Check(const Peer& peer) const {
  if (peer.identity.local) return absl::OkStatus();
  pb::Revocation revocation;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_identity_.find(peer.identity.ToString());
    if (found == by_identity_.end()) return absl::OkStatus();
    revocation = found->second;
  }
  // Few are listed, so few certificates are read. One that cannot be read counts as old.
  const auto facts = ReadCertificates(peer.certificate_pem);
  const bool newer =
      facts.ok() && facts->front().from_unix_ms + kClockSkewMs > revocation.unix_ms();
  if (newer) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the certificate of ", peer.identity.ToString(), " was revoked",
                   revocation.why().empty() ? "" : ": ", revocation.why(),
                   "; if that was a mistake, ask an owner of the farm for a token and join again"));
}

}  // namespace hone
