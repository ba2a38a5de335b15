// JoinDesk: where strangers become members. Makes tokens, and while there are any to be used keeps
// a server open on a port of its own, which takes them and signs certificates. It is a server apart
// so that the tracker's own port asks everyone for a certificate before a byte of HTTP is read; and
// it is closed while nobody is expected.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/status.h"
#include "db/security_store.h"
#include "proto/security.pb.h"
#include "rpc/identity.h"
#include "tracker/audit_log.h"
#include "tracker/farm_authority.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace hone {

struct JoinDeskOptions {
  std::string tls_dir;
  std::string host;  // to listen at: "0.0.0.0"
  int port = 0;      // 0: a free one
};

class JoinDesk {
 public:
  // The store, the log and the clock must outlive the desk.
  JoinDesk(JoinDeskOptions options, FarmAuthority authority, SecurityStore& store, AuditLog& log,
           const Clock& clock);
  ~JoinDesk();

  // Opens the desk. InvalidArgument: no identity that may join, or a term above an hour.
  StatusOr<pb::MakeTokenReply> MakeToken(const pb::MakeTokenRequest& request,
                                         const Identity& made_by) ABSL_LOCKS_EXCLUDED(mutex_);
  StatusOr<pb::Certificates> Join(const pb::JoinRequest& request);
  // For a member, under its own name.
  StatusOr<pb::Certificates> Renew(const pb::RenewRequest& request, const Identity& peer) const;

  // Closes the desk when no token is left, and opens it for those that an earlier life of the
  // tracker made; renews the tracker's own certificate in good time. Once a second.
  Status Tick() ABSL_LOCKS_EXCLUDED(mutex_);
  bool is_open() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Service;

  Status Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  StatusOr<pb::Certificates> Sign(const std::string& request_pem, const Identity& identity) const;

  const JoinDeskOptions options_;
  const FarmAuthority authority_;
  SecurityStore& store_;
  AuditLog& log_;
  const Clock& clock_;
  const std::unique_ptr<Service> service_;

  mutable absl::Mutex mutex_;
  std::unique_ptr<grpc::Server> server_ ABSL_GUARDED_BY(mutex_);  // null while it is closed
  int port_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t renew_at_unix_ms_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace hone
