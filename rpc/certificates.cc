#include "rpc/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/unix_time.h"

namespace hone {
namespace {

constexpr int64_t kMillisPerSecond = 1'000;
constexpr int64_t kSecondsPerDay = 86'400;
// The serial number: positive, and too long to be guessed or to come twice.
constexpr int kSerialBytes = 16;
constexpr int kSecretBytes = 16;

template <auto* kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using Memory = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;
using TlsContext = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

// The latest error of OpenSSL's in words; empties its list.
std::string Reason() {
  char text[256] = "no reason given";
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  return text;
}

Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("cannot ", what, ": ", Reason()));
}

// --- PEM

Memory Reading(const std::string& pem) {
  return Memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Nobody is asked for a password: a key that has one cannot be read.
int NoPassword(char*, int, int, void*) { return -1; }

std::string Written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

StatusOr<Key> ReadKey(const std::string& pem) {
  const Memory bio = Reading(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("not a private key in PEM: ", Reason()));
  }
  return key;
}

StatusOr<std::vector<Certificate>> ReadAll(const std::string& pem) {
  const Memory bio = Reading(pem);
  std::vector<Certificate> certificates;
  while (true) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
    if (next == nullptr) break;
    certificates.push_back(std::move(next));
  }
  const unsigned long error = ERR_peek_last_error();
  if (certificates.empty() || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return absl::InvalidArgumentError(absl::StrCat("not certificates in PEM: ", Reason()));
  }
  ERR_clear_error();
  return certificates;
}

StatusOr<Certificate> ReadFirst(const std::string& pem) {
  HONE_ASSIGN_OR_RETURN(std::vector<Certificate> all, ReadAll(pem));
  return std::move(all.front());
}

StatusOr<std::string> ToPem(X509* certificate) {
  const Memory bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return Failed("write a certificate");
  return Written(bio.get());
}

// --- Making certificates

Status SetSerial(X509* certificate) {
  unsigned char bytes[kSerialBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return Failed("draw a serial number");
  bytes[0] &= 0x7f;
  bytes[0] |= 0x01;
  const std::unique_ptr<BIGNUM, Free<BN_free>> number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
  if (BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return Failed("number a certificate");
  }
  return absl::OkStatus();
}

Status SetTimes(X509* certificate, int64_t from_unix_ms, int64_t until_unix_ms) {
  if (ASN1_TIME_set(X509_getm_notBefore(certificate),
                    static_cast<time_t>(from_unix_ms / kMillisPerSecond)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate),
                    static_cast<time_t>(until_unix_ms / kMillisPerSecond)) == nullptr) {
    return Failed("date a certificate");
  }
  return absl::OkStatus();
}

Status SetName(X509_NAME* name, const std::string& common_name) {
  // X.520 allows 64 characters; the whole name is in the URI.
  const std::string shown = common_name.substr(0, 64);
  if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(shown.c_str()), -1, -1,
                                 0) != 1) {
    return Failed("name a certificate");
  }
  return absl::OkStatus();
}

Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Failed(absl::StrCat("add '", value, "' to a certificate"));
  }
  return absl::OkStatus();
}

// A comma would start another name, with another meaning.
Status CheckAlternativeName(absl::string_view name) {
  if (!name.empty() && !absl::StrContains(name, ',') && !absl::StrContains(name, '\n')) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' cannot stand in a certificate"));
}

StatusOr<std::string> AlternativeNames(const CertificateTerms& terms) {
  HONE_RETURN_IF_ERROR(CheckAlternativeName(terms.uri));
  std::vector<std::string> names = {absl::StrCat("URI:", terms.uri)};
  for (const std::string& host : terms.hosts) {
    HONE_RETURN_IF_ERROR(CheckAlternativeName(host));
    const bool is_address = std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>>(
                                a2i_IPADDRESS(host.c_str())) != nullptr;
    names.push_back(absl::StrCat(is_address ? "IP:" : "DNS:", host));
  }
  ERR_clear_error();
  return absl::StrJoin(names, ",");
}

// --- Reading certificates

int64_t ToUnixMillis(const ASN1_TIME* time) {
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return (days * kSecondsPerDay + seconds) * kMillisPerSecond;
}

std::vector<std::string> UrisOf(X509* certificate) {
  std::vector<std::string> uris;
  const std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return uris;
}

std::string FingerprintOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return "";
  const std::string digest =
      Digest(absl::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

std::string SubjectOf(X509* certificate) {
  char text[256] = {};
  X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof(text));
  return text;
}

CertificateFacts FactsOf(X509* certificate) {
  return {.subject = SubjectOf(certificate),
          .uris = UrisOf(certificate),
          .from_unix_ms = ToUnixMillis(X509_get0_notBefore(certificate)),
          .until_unix_ms = ToUnixMillis(X509_get0_notAfter(certificate)),
          .fingerprint = FingerprintOf(certificate)};
}

}  // namespace

// --- Keys, authorities, requests

StatusOr<std::string> MakePrivateKey() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (key == nullptr) return Failed("make a private key");
  const Memory bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Failed("write a private key");
  }
  return Written(bio.get());
}

StatusOr<std::string> MakeSecret() {
  unsigned char bytes[kSecretBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return Failed("draw a secret");
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes), sizeof(bytes)));
}

StatusOr<std::string> MakeAuthority(const std::string& key_pem, const std::string& name,
                                    int64_t unix_ms, int days) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(key_pem));
  const Certificate certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  HONE_RETURN_IF_ERROR(SetSerial(x));
  HONE_RETURN_IF_ERROR(
      SetTimes(x, unix_ms - kClockSkewMs, unix_ms + days * kSecondsPerDay * kMillisPerSecond));
  HONE_RETURN_IF_ERROR(SetName(X509_get_subject_name(x), name));
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_set_pubkey(x, key.get());
  // It signs members, and nobody who signs further.
  HONE_RETURN_IF_ERROR(AddExtension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  HONE_RETURN_IF_ERROR(AddExtension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign"));
  HONE_RETURN_IF_ERROR(AddExtension(x, x, NID_subject_key_identifier, "hash"));
  if (X509_sign(x, key.get(), EVP_sha256()) == 0) return Failed("sign the authority");
  return ToPem(x);
}

StatusOr<std::string> MakeSigningRequest(const std::string& key_pem) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(key_pem));
  const Request request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(request.get(), key.get());
  if (X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) return Failed("sign a request");
  const Memory bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) return Failed("write a request");
  return Written(bio.get());
}

StatusOr<std::string> SignRequest(const std::string& request_pem,
                                  const std::string& authority_key_pem,
                                  const std::string& authority_pem, const CertificateTerms& terms) {
  const Memory bio = Reading(request_pem);
  const Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassword, nullptr));
  EVP_PKEY* const asker = request == nullptr ? nullptr : X509_REQ_get0_pubkey(request.get());
  if (asker == nullptr || X509_REQ_verify(request.get(), asker) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a signing request with a right signature: ", Reason()));
  }
  HONE_ASSIGN_OR_RETURN(const Key authority_key, ReadKey(authority_key_pem));
  HONE_ASSIGN_OR_RETURN(const Certificate authority, ReadFirst(authority_pem));
  HONE_RETURN_IF_ERROR(CheckKeyFits(authority_key_pem, authority_pem));
  HONE_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(terms));
  const Certificate certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  HONE_RETURN_IF_ERROR(SetSerial(x));
  HONE_RETURN_IF_ERROR(SetTimes(x, terms.unix_ms - kClockSkewMs, terms.unix_ms + terms.valid_ms));
  HONE_RETURN_IF_ERROR(SetName(X509_get_subject_name(x), terms.uri));
  X509_set_issuer_name(x, X509_get_subject_name(authority.get()));
  X509_set_pubkey(x, asker);
  X509* issuer = authority.get();
  HONE_RETURN_IF_ERROR(AddExtension(x, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  HONE_RETURN_IF_ERROR(AddExtension(x, issuer, NID_key_usage, "critical,digitalSignature"));
  HONE_RETURN_IF_ERROR(AddExtension(x, issuer, NID_ext_key_usage,
                                    terms.serves ? "serverAuth,clientAuth" : "clientAuth"));
  HONE_RETURN_IF_ERROR(AddExtension(x, issuer, NID_authority_key_identifier, "keyid"));
  HONE_RETURN_IF_ERROR(AddExtension(x, issuer, NID_subject_alt_name, names));
  if (X509_sign(x, authority_key.get(), EVP_sha256()) == 0) return Failed("sign a certificate");
  return ToPem(x);
}

// --- What a certificate says

StatusOr<std::vector<CertificateFacts>> ReadCertificates(const std::string& pem) {
  HONE_ASSIGN_OR_RETURN(const std::vector<Certificate> all, ReadAll(pem));
  std::vector<CertificateFacts> facts;
  for (const Certificate& certificate : all) facts.push_back(FactsOf(certificate.get()));
  return facts;
}

StatusOr<std::vector<std::string>> SplitCertificates(const std::string& pem) {
  HONE_ASSIGN_OR_RETURN(const std::vector<Certificate> all, ReadAll(pem));
  std::vector<std::string> pems;
  for (const Certificate& certificate : all) {
    HONE_ASSIGN_OR_RETURN(pems.emplace_back(), ToPem(certificate.get()));
  }
  return pems;
}

Status CheckKeyFits(const std::string& key_pem, const std::string& certificate_pem) {
  HONE_ASSIGN_OR_RETURN(const Key key, ReadKey(key_pem));
  HONE_ASSIGN_OR_RETURN(const Certificate certificate, ReadFirst(certificate_pem));
  const int fits = X509_check_private_key(certificate.get(), key.get());
  ERR_clear_error();
  if (fits == 1) return absl::OkStatus();
  return absl::InvalidArgumentError("the private key and the certificate do not belong together");
}

Status CheckCertificate(const std::string& certificate_pem, const std::string& authorities_pem,
                        int64_t unix_ms) {
  HONE_ASSIGN_OR_RETURN(const Certificate certificate, ReadFirst(certificate_pem));
  HONE_ASSIGN_OR_RETURN(const std::vector<Certificate> authorities, ReadAll(authorities_pem));
  const CertificateFacts facts = FactsOf(certificate.get());
  const Store store(X509_STORE_new());
  for (const Certificate& one : authorities) X509_STORE_add_cert(store.get(), one.get());
  const StoreContext context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) != 1) {
    return Failed("check a certificate");
  }
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()),
                             static_cast<time_t>(unix_ms / kMillisPerSecond));
  const int good = X509_verify_cert(context.get());
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (good == 1) return absl::OkStatus();
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::FailedPreconditionError(absl::StrCat(
          "the certificate expired on ", FormatUnixMillis(facts.until_unix_ms), " UTC"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::FailedPreconditionError(
          absl::StrCat("the certificate is valid from ", FormatUnixMillis(facts.from_unix_ms),
                       " UTC only; is this machine's clock right?"));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return absl::FailedPreconditionError(
          "the certificate is signed by no authority of this farm (ca.pem)");
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("the certificate is not good: ", X509_verify_cert_error_string(error)));
  }
}

// --- Fetching

StatusOr<std::string> FetchAuthority(const std::string& host_and_port,
                                     const std::string& fingerprint, absl::Duration timeout) {
  const auto unreachable = [&](absl::string_view why) {
    return absl::UnavailableError(absl::StrCat("no answer with TLS at ", host_and_port, ": ", why));
  };
  const TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // Whoever answers may show anything: the fingerprint alone decides.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  static constexpr unsigned char kProtocols[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), kProtocols, sizeof(kProtocols));
  const Memory connection(BIO_new_ssl_connect(context.get()));
  SSL* tls = nullptr;
  BIO_get_ssl(connection.get(), &tls);
  BIO_set_conn_hostname(connection.get(), host_and_port.c_str());
  BIO_set_nbio(connection.get(), 1);
  const absl::Time deadline = absl::Now() + timeout;
  while (BIO_do_handshake(connection.get()) != 1) {
    if (!BIO_should_retry(connection.get())) return unreachable(Reason());
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left_ms <= 0) return unreachable("it takes too long");
    int socket = -1;
    BIO_get_fd(connection.get(), &socket);
    const bool writes =
        BIO_should_write(connection.get()) || BIO_should_io_special(connection.get());
    pollfd wait = {.fd = socket, .events = static_cast<short>(writes ? POLLOUT : POLLIN)};
    poll(&wait, 1, static_cast<int>(left_ms));
  }
  const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(tls);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* const one = sk_X509_value(chain, i);
    if (FingerprintOf(one) == fingerprint) return ToPem(one);
  }
  return absl::PermissionDeniedError(
      absl::StrCat("whoever answers at ", host_and_port,
                   " is not of the farm that made this token; check the address, and the network "
                   "between"));
}

}  // namespace hone
