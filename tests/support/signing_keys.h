// Ed25519 keys for tests, made when they run.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <string>

namespace hone {

struct SigningKey {
  std::string private_pem;
  std::string public_pem;

  static SigningKey Make() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), &EVP_PKEY_free);
    EXPECT_NE(key, nullptr);
    const auto text_of = [](const auto& write) {
      const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
      EXPECT_EQ(write(text.get()), 1);
      char* bytes = nullptr;
      const auto size = BIO_get_mem_data(text.get(), &bytes);
      return std::string(bytes, static_cast<size_t>(size));
    };
    return {
        .private_pem = text_of([&](BIO* text) {
          return PEM_write_bio_PKCS8PrivateKey(text, key.get(), nullptr, nullptr, 0, nullptr,
                                               nullptr);
        }),
        .public_pem = text_of([&](BIO* text) { return PEM_write_bio_PUBKEY(text, key.get()); })};
  }
};

}  // namespace hone
