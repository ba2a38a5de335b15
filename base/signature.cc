#include "base/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "base/digest.h"

namespace hone {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Text = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Hash = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

StatusOr<Key> ReadKey(const std::string& pem, bool is_private) {
  const Text text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  // Without a callback a key with a password would be asked for on the terminal.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  Key key(is_private ? PEM_read_bio_PrivateKey(text.get(), nullptr, no_password, nullptr)
                     : PEM_read_bio_PUBKEY(text.get(), nullptr, no_password, nullptr),
          &EVP_PKEY_free);
  if (key != nullptr && EVP_PKEY_id(key.get()) == EVP_PKEY_ED25519) return key;
  return absl::InvalidArgumentError(
      is_private ? "this is no private Ed25519 key without a password; `openssl genpkey -algorithm "
                   "ed25519 -out key.pem` makes one"
                 : "this is no public Ed25519 key; `openssl pkey -in key.pem -pubout -out key.pub` "
                   "writes that of a private one");
}

}  // namespace

StatusOr<std::string> Sign(const std::string& private_key_pem, absl::string_view bytes) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(private_key_pem, /*is_private=*/true));
  const Hash hash(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string signature(64, '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(hash.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(hash.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     Bytes(bytes), bytes.size()) != 1) {
    return absl::InternalError("the key could not sign");
  }
  signature.resize(size);
  return signature;
}

Status CheckSignature(const std::string& public_key_pem, absl::string_view bytes,
                      absl::string_view signature) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(public_key_pem, /*is_private=*/false));
  const Hash hash(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (EVP_DigestVerifyInit(hash.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(hash.get(), Bytes(signature), signature.size(), Bytes(bytes),
                       bytes.size()) == 1) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError("the signature is not of these bytes by that key");
}

StatusOr<std::string> PublicKeyId(const std::string& public_key_pem) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(public_key_pem, /*is_private=*/false));
  std::string raw(32, '\0');
  size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(raw.data()), &size) !=
      1) {
    return absl::InternalError("the public key cannot be read");
  }
  return Digest(raw);
}

}  // namespace hone
