// Ed25519 signatures: that bytes come from who holds a key. Keys are PEM files, as
// `openssl genpkey -algorithm ed25519` makes them. Used for packages of records; members of a farm
// show certificates instead (rpc/certificates.h).
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// 64 bytes. InvalidArgument: no private Ed25519 key.
StatusOr<std::string> Sign(const std::string& private_key_pem, absl::string_view bytes);
// PermissionDenied: the signature is not of these bytes by that key. InvalidArgument: no public
// Ed25519 key.
Status CheckSignature(const std::string& public_key_pem, absl::string_view bytes,
                      absl::string_view signature);
// Names a public key, whatever its file looks like: 64 hex digits.
StatusOr<std::string> PublicKeyId(const std::string& public_key_pem);

}  // namespace hone
