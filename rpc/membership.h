// Becoming and staying a member of a farm, from the member's side: joining with a token, and
// renewing the certificate before it expires. `hone join` and `hone-agent join` are made of it. The
// private key is made here and never leaves this machine.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "rpc/credentials.h"
#include "rpc/identity.h"

namespace hone {

// Joins the farm whose trackers are at `trackers` ("host:port", several with commas) and writes the
// certificates into `folder`; returns who one is from now on. Unavailable: nobody takes tokens
// there. PermissionDenied: another farm answers, or the token is used, expired or unknown. `folder`
// is untouched on errors.
StatusOr<Identity> JoinFarm(const std::string& trackers, absl::string_view token,
                            const TlsFolder& folder);

// Gets a certificate with a new term, and the authorities that the farm trusts now, for the key in
// the folder. Processes that use the folder take them up by themselves.
StatusOr<Identity> RenewMembership(const std::string& trackers, const TlsFolder& folder);

// Whether two thirds of the certificate's term are over. Errors as CheckTlsFolder.
StatusOr<bool> IsRenewalDue(const TlsFolder& folder, int64_t unix_ms);

}  // namespace hone
