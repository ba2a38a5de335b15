// Certificates for tests, made when they run: farms with an authority, and members in folders under
// a folder of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "rpc/certificates.h"
#include "rpc/credentials.h"
#include "rpc/identity.h"
#include "tests/support/scratch_folder.h"

namespace hone {

// An authority that signs whatever a test wants.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "test") {
    key_ = *MakePrivateKey();
    certificate_ = *MakeAuthority(key_, name, Now(), 10);
  }
  static int64_t Now() { return absl::ToUnixMillis(absl::Now()); }

  const std::string& certificate() const { return certificate_; }

  // A member's files: signed at `unix_ms`, good for `valid_ms` from then on, trusting this
  // authority and no other.
  TlsFiles Issue(const std::string& uri, int64_t unix_ms = Now(), int64_t valid_ms = 3'600'000) {
    TlsFiles files = {.authorities_pem = certificate_, .key_pem = *MakePrivateKey()};
    const auto certificate = SignRequest(*MakeSigningRequest(files.key_pem), key_, certificate_,
                                         {.uri = uri,
                                          .hosts = {kServerName},
                                          .unix_ms = unix_ms,
                                          .valid_ms = valid_ms,
                                          .serves = true});
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    files.certificate_pem = absl::StrCat(*certificate, certificate_);
    return files;
  }
  // The same, in a folder, which is returned.
  std::string Member(const ScratchFolder& scratch, const std::string& identity,
                     int64_t valid_ms = 3'600'000) {
    const std::string folder = scratch / absl::StrCat(certificate_.size(), "-", identity);
    EXPECT_EQ(WriteTlsFolder(TlsFolder(folder), Issue("hone:" + identity, Now(), valid_ms)),
              absl::OkStatus());
    return folder;
  }

 private:
  std::string key_;
  std::string certificate_;
};

}  // namespace hone
