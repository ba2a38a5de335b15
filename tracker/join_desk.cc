#include "tracker/join_desk.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "proto/security.grpc.pb.h"
#include "rpc/certificates.h"
#include "rpc/channel.h"
#include "rpc/join_token.h"
#include "tracker/finish_call.h"

namespace hone {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kRenewalMs = 60 * kMinuteMs;
constexpr int64_t kTokenMs = 15 * kMinuteMs;
constexpr int64_t kTokenMaxMs = 60 * kMinuteMs;
constexpr std::chrono::milliseconds kShutdownGrace(500);
constexpr char kJoin[] = "/hone.pb.Joining/Join";

}  // namespace

class JoinDesk::Service : public pb::Joining::CallbackService {
 public:
  explicit Service(JoinDesk& desk) : desk_(desk) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const pb::JoinRequest* request, pb::Certificates* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    FinishCall(reactor, reply, desk_.Join(*request));
    return reactor;
  }

 private:
  JoinDesk& desk_;
};

JoinDesk::JoinDesk(JoinDeskOptions options, FarmAuthority authority, SecurityStore& store,
                   AuditLog& log, const Clock& clock)
    : options_(std::move(options)),
      authority_(std::move(authority)),
      store_(store),
      log_(log),
      clock_(clock),
      service_(std::make_unique<Service>(*this)),
      port_(options_.port) {}

JoinDesk::~JoinDesk() {
  absl::MutexLock lock(&mutex_);
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
}

StatusOr<pb::MakeTokenReply> JoinDesk::MakeToken(const pb::MakeTokenRequest& request,
                                                 const Identity& made_by) {
  HONE_ASSIGN_OR_RETURN(const Identity identity, ParseIdentity(request.identity()));
  if (identity.role == Role::kTracker) {
    return absl::InvalidArgumentError(
        "a tracker does not join; copy the TLS folder of one that there is");
  }
  const int64_t valid_ms = request.valid_ms() == 0 ? kTokenMs : request.valid_ms();
  if (valid_ms < 0 || valid_ms > kTokenMaxMs) {
    return absl::InvalidArgumentError("a token may be good for up to 60 minutes");
  }
  HONE_ASSIGN_OR_RETURN(const std::string secret, MakeSecret());
  pb::JoinToken token;
  token.set_digest(Digest(secret));
  token.set_identity(identity.ToString());
  token.set_made_by(made_by.ToString());
  token.set_expires_unix_ms(clock_.UnixMillis() + valid_ms);
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(Open());
  HONE_RETURN_IF_ERROR(store_.AddJoinToken(token));
  pb::MakeTokenReply reply;
  reply.set_token(
      JoinTokenText{.port = port_, .secret = secret, .fingerprint = authority_.fingerprint()}
          .ToString());
  reply.set_expires_unix_ms(token.expires_unix_ms());
  return reply;
}

StatusOr<pb::Certificates> JoinDesk::Join(const pb::JoinRequest& request) {
  AuditedCall call = {.identity = std::string(RoleName(Role::kAnonymous)), .method = kJoin};
  const auto join = [&]() -> StatusOr<pb::Certificates> {
    HONE_ASSIGN_OR_RETURN(const pb::JoinToken token,
                          store_.TakeJoinToken(Digest(request.secret()), clock_.UnixMillis()));
    call.identity = token.identity();
    call.what = absl::StrCat("by a token of ", token.made_by());
    HONE_ASSIGN_OR_RETURN(const Identity identity, ParseIdentity(token.identity()));
    return Sign(request.signing_request_pem(), identity);
  };
  const StatusOr<pb::Certificates> reply = join();
  call.outcome = reply.status().code();
  if (!reply.ok()) {
    // Strangers may try as often as they like: counted.
    log_.Note(call);
    return reply;
  }
  HONE_RETURN_IF_ERROR(log_.Write(call));
  return reply;
}

StatusOr<pb::Certificates> JoinDesk::Renew(const pb::RenewRequest& request,
                                           const Identity& peer) const {
  if (peer.local || peer.name.empty()) {
    return absl::FailedPreconditionError("without a certificate there is none to renew");
  }
  return Sign(request.signing_request_pem(), peer);
}

StatusOr<pb::Certificates> JoinDesk::Sign(const std::string& request_pem,
                                          const Identity& identity) const {
  HONE_ASSIGN_OR_RETURN(const TlsFiles files,
                        authority_.Sign(request_pem, identity, clock_.UnixMillis()));
  pb::Certificates reply;
  reply.set_identity(identity.ToString());
  reply.set_certificate_pem(files.certificate_pem);
  reply.set_authorities_pem(files.authorities_pem);
  return reply;
}

Status JoinDesk::Open() {
  if (server_ != nullptr) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(auto credentials,
                        MakeJoinServerCredentials(TlsFolder(options_.tls_dir), {}));
  grpc::ServerBuilder builder;
  int port = 0;
  HONE_RETURN_IF_ERROR(ConfigureServer(absl::StrCat(options_.host, ":", port_),
                                       std::move(credentials), builder, &port));
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    server_.reset();
    return absl::UnavailableError(absl::StrCat("cannot listen at port ", port_,
                                               " for those who join; is it in use? Choose "
                                               "another with hone-tracker --join-port"));
  }
  port_ = port;
  return absl::OkStatus();
}

Status JoinDesk::Tick() {
  std::unique_ptr<grpc::Server> closing;
  {
    absl::MutexLock lock(&mutex_);
    if (clock_.UnixMillis() >= renew_at_unix_ms_) {
      renew_at_unix_ms_ = clock_.UnixMillis() + kRenewalMs;
      HONE_RETURN_IF_ERROR(
          authority_.RenewTracker(TlsFolder(options_.tls_dir), clock_.UnixMillis()));
    }
    HONE_ASSIGN_OR_RETURN(const int64_t tokens, store_.CountJoinTokens(clock_.UnixMillis()));
    if (tokens > 0) return Open();
    closing = std::move(server_);
  }
  if (closing != nullptr) closing->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  return absl::OkStatus();
}

bool JoinDesk::is_open() const {
  absl::MutexLock lock(&mutex_);
  return server_ != nullptr;
}

}  // namespace hone
