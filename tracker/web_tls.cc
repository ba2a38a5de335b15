#include "tracker/web_tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "rpc/certificates.h"

namespace hone {
namespace {

namespace ssl = boost::asio::ssl;

StatusOr<TlsFiles> ReadFiles(const TlsFolder& folder) {
  TlsFiles files;
  HONE_ASSIGN_OR_RETURN(files.authorities_pem, ReadFile(folder.Authorities()));
  HONE_ASSIGN_OR_RETURN(files.certificate_pem, ReadFile(folder.Certificate()));
  HONE_ASSIGN_OR_RETURN(files.key_pem, ReadFile(folder.Key()));
  return files;
}

StatusOr<std::shared_ptr<ssl::context>> MakeContext(const TlsFiles& files) {
  const auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                       ssl::context::no_tlsv1_1 | ssl::context::no_compression |
                       SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  // Who comes back shows its certificate again.
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  boost::system::error_code error;
  context->add_certificate_authority(boost::asio::buffer(files.authorities_pem), error);
  if (!error) context->use_certificate_chain(boost::asio::buffer(files.certificate_pem), error);
  if (!error) {
    context->use_private_key(boost::asio::buffer(files.key_pem), ssl::context::pem, error);
  }
  if (!error) {
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  }
  if (!error) return context;
  return absl::FailedPreconditionError(
      absl::StrCat("the farm's certificates cannot be used for its page: ", error.message()));
}

}  // namespace

StatusOr<std::unique_ptr<WebTls>> WebTls::Open(const TlsFolder& folder) {
  HONE_ASSIGN_OR_RETURN(const Identity identity,
                        CheckTlsFolder(folder, absl::ToUnixMillis(absl::Now())));
  HONE_RETURN_IF_ERROR(CheckServes(folder, identity));
  std::unique_ptr<WebTls> tls(new WebTls(folder));
  HONE_RETURN_IF_ERROR(tls->Load());
  return tls;
}

Status WebTls::Load() {
  HONE_ASSIGN_OR_RETURN(TlsFiles files, ReadFiles(folder_));
  if (context_ != nullptr && files.certificate_pem == files_.certificate_pem &&
      files.authorities_pem == files_.authorities_pem && files.key_pem == files_.key_pem) {
    return absl::OkStatus();
  }
  HONE_RETURN_IF_ERROR(CheckKeyFits(files.key_pem, files.certificate_pem));
  HONE_ASSIGN_OR_RETURN(context_, MakeContext(files));
  files_ = std::move(files);
  return absl::OkStatus();
}

// Files are replaced one after the other: what does not fit now may the next time.
void WebTls::Refresh() { Load().IgnoreError(); }

StatusOr<Peer> WebTls::PeerOf(SSL* connection) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(connection), &X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  if (certificate == nullptr || text == nullptr ||
      PEM_write_bio_X509(text.get(), certificate.get()) != 1) {
    return absl::UnauthenticatedError("the browser showed no certificate");
  }
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);  // NOLINT(google-runtime-int)
  Peer peer;
  peer.certificate_pem.assign(bytes, static_cast<size_t>(size));
  HONE_ASSIGN_OR_RETURN(const auto facts, ReadCertificates(peer.certificate_pem));
  HONE_ASSIGN_OR_RETURN(peer.identity, IdentityOfUris(facts.front().uris));
  return peer;
}

Status WebTls::CheckStillGood(const Peer& peer, int64_t unix_ms) const {
  return CheckCertificate(peer.certificate_pem, files_.authorities_pem, unix_ms);
}

}  // namespace hone
