// WebTls: certificates of the farm for its page: what the server shows, whom it trusts, and who is
// at the other end of a connection. Used by web_server.cc alone. Files that change are read again
// without a restart, as gRPC's are; it accepts no connection and decides nothing about who may see
// what.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc/credentials.h"

namespace hone {

class WebTls {
 public:
  // Errors as MakeServerCredentials.
  static StatusOr<std::unique_ptr<WebTls>> Open(const TlsFolder& folder);

  // For new connections; those that have begun keep theirs.
  std::shared_ptr<boost::asio::ssl::context> context() const { return context_; }
  // Looks at the files, and keeps to what it has while they do not fit each other.
  void Refresh();

  // Who showed a certificate in a handshake that is done. Unauthenticated if it says no identity.
  static StatusOr<Peer> PeerOf(SSL* connection);
  // Unauthenticated if the peer's certificate is not good at `unix_ms`: it may have been when the
  // connection began.
  Status CheckStillGood(const Peer& peer, int64_t unix_ms) const;

 private:
  explicit WebTls(TlsFolder folder) : folder_(std::move(folder)) {}
  Status Load();

  const TlsFolder folder_;
  TlsFiles files_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace hone
