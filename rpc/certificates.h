// Keys and X.509 certificates of a farm: making its authority, signing what members ask for, and
// reading what is in a certificate. Used by `hone-tracker init-tls`, by joining, and to say in
// words what is wrong with somebody's files. The only place that sees OpenSSL beside base/digest;
// it opens no connection except to fetch an authority (FetchAuthority).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace hone {

// Clocks of a farm may differ by this much: a certificate is valid from so long before it is made.
inline constexpr int64_t kClockSkewMs = 300'000;

// A private key on P-256, as PEM.
StatusOr<std::string> MakePrivateKey();

// 32 hex digits that nobody can guess.
StatusOr<std::string> MakeSecret();

// A self-signed certificate that signs others, as PEM. `name` is for people: "hone farm lab".
// Valid from `unix_ms` (less kClockSkewMs) for `days`.
StatusOr<std::string> MakeAuthority(const std::string& key_pem, const std::string& name,
                                    int64_t unix_ms, int days);

// Asks for a certificate: proves that the asker has the key. Says nothing of who it is for, which
// the signer decides.
StatusOr<std::string> MakeSigningRequest(const std::string& key_pem);

struct CertificateTerms {
  std::string uri;                 // who: "hone:agent/pi-3"
  std::vector<std::string> hosts;  // DNS names and IP addresses, for tools other than hone
  int64_t unix_ms = 0;             // the time now
  int64_t valid_ms = 0;            // from now on; may be negative in tests
  bool serves = false;             // may be presented by a server as well
};

// Signs a request, or the request of the key itself. Errors: InvalidArgument if it is no request
// or its signature is wrong, or the authority's key does not fit its certificate.
StatusOr<std::string> SignRequest(const std::string& request_pem,
                                  const std::string& authority_key_pem,
                                  const std::string& authority_pem, const CertificateTerms& terms);

struct CertificateFacts {
  std::string subject;            // "CN=..."
  std::vector<std::string> uris;  // "hone:agent/pi-3"
  int64_t from_unix_ms = 0;
  int64_t until_unix_ms = 0;
  std::string fingerprint;  // SHA-256 of its DER form, 64 hex digits
};

// Every certificate in a PEM file, in order. InvalidArgument if there is none, or one is damaged.
StatusOr<std::vector<CertificateFacts>> ReadCertificates(const std::string& pem);
// Each certificate of a PEM file as a PEM of its own.
StatusOr<std::vector<std::string>> SplitCertificates(const std::string& pem);

// InvalidArgument if the (first) certificate is of another key.
Status CheckKeyFits(const std::string& key_pem, const std::string& certificate_pem);

// FailedPrecondition says why a peer that trusts `authorities_pem` would not take the (first)
// certificate at that time: expired, not valid yet, signed by another authority.
Status CheckCertificate(const std::string& certificate_pem, const std::string& authorities_pem,
                        int64_t unix_ms);

// The certificates that the server at host:port shows, of which the one with this fingerprint is
// returned as PEM. Nothing else about the server is trusted. Unavailable: nobody answers, or not
// with TLS; PermissionDenied: no certificate has the fingerprint.
StatusOr<std::string> FetchAuthority(const std::string& host_and_port,
                                     const std::string& fingerprint, absl::Duration timeout);

}  // namespace hone
