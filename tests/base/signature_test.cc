#include "base/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/signing_keys.h"

namespace hone {
namespace {

TEST(SignatureTest, IsOfTheseBytesByThatKey) {
  const SigningKey key = SigningKey::Make();
  const auto signature = Sign(key.private_pem, "bytes");
  ASSERT_TRUE(signature.ok()) << signature.status();
  EXPECT_EQ(signature->size(), 64u);
  EXPECT_EQ(CheckSignature(key.public_pem, "bytes", *signature), absl::OkStatus());
  EXPECT_TRUE(absl::IsPermissionDenied(CheckSignature(key.public_pem, "bytez", *signature)));
  EXPECT_TRUE(absl::IsPermissionDenied(CheckSignature(key.public_pem, "bytes", "short")));
  EXPECT_TRUE(
      absl::IsPermissionDenied(CheckSignature(SigningKey::Make().public_pem, "bytes", *signature)));
}

TEST(SignatureTest, SaysHowToMakeAKey) {
  const SigningKey key = SigningKey::Make();
  const Status status = Sign(key.public_pem, "bytes").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("openssl genpkey"));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckSignature(key.private_pem, "bytes", "")));
}

TEST(SignatureTest, NamesEachKeyOnce) {
  const std::string key = SigningKey::Make().public_pem;
  EXPECT_NE(*PublicKeyId(key), *PublicKeyId(SigningKey::Make().public_pem));
  EXPECT_EQ(*PublicKeyId(key), *PublicKeyId(key + "\n"));
}

}  // namespace
}  // namespace hone
