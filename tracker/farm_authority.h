// FarmAuthority: the farm's own authority over who is who: makes the certificates of a new farm,
// and signs those of members who join or renew. Its key lies in the tracker's TLS folder. Decides
// nothing: who may have which certificate is the caller's business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "rpc/credentials.h"
#include "rpc/identity.h"

namespace hone {

struct NewFarm {
  std::string name = "farm";       // of the tracker, and part of the authority's
  std::string admin = "admin";     // the first owner
  std::vector<std::string> hosts;  // of the tracker's certificate, for tools other than hone
};

// Makes the authority and the tracker's certificate in `folder`, and those of the first owner in
// `folder`/admin. AlreadyExists if there is an authority, which is never overwritten.
Status MakeFarm(const TlsFolder& folder, const NewFarm& farm, int64_t unix_ms);

class FarmAuthority {
 public:
  // NotFound if the folder has no authority's key: such a tracker serves, and lets nobody join.
  // FailedPrecondition if the key is of none of the authorities.
  static StatusOr<FarmAuthority> Open(const TlsFolder& folder);

  // A certificate for the asker's key, good for a year (90 days for people), with what else it
  // needs: the authorities to trust. `key_pem` is the asker's secret and stays empty.
  StatusOr<TlsFiles> Sign(const std::string& request_pem, const Identity& identity,
                          int64_t unix_ms) const;

  // A new term for the tracker's own certificate, if two thirds of the old one are over.
  Status RenewTracker(const TlsFolder& folder, int64_t unix_ms) const;

  // SHA-256 of the authority's certificate: what a token carries.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::string key_pem_;
  std::string own_pem_;          // the authority of the key
  std::string authorities_pem_;  // all that members trust
  std::string fingerprint_;
};

}  // namespace hone
