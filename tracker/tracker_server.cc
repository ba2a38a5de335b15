#include "tracker/tracker_server.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/address.h"
#include "rpc/channel.h"
#include "tracker/admin_service.h"
#include "tracker/agent_service.h"
#include "tracker/farm_service.h"
#include "tracker/farm_shell.h"
#include "tracker/listening_socket.h"
#include "tracker/revocations.h"
#include "tracker/web_server.h"

namespace hone {
namespace {

constexpr std::chrono::milliseconds kShutdownGrace(500);

}  // namespace

class TrackerServer::Impl {
 public:
  Impl(std::unique_ptr<EventLog> log, std::unique_ptr<FarmShell> shell)
      : log_(std::move(log)),
        shell_(std::move(shell)),
        farm_(*shell_),
        agents_(*shell_, revocations_),
        admin_(*shell_, revocations_) {
    revocations_.Update(shell_->GetPolicy());
  }

  ~Impl() {
    web_.reset();
    shell_->ShutDown();
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    log_->Write(Event::kTrackerStopped, {{"address", address_}});
  }

  Status Listen(const std::string& listen, const std::string& tls_dir) {
    HONE_ASSIGN_OR_RETURN(const std::string checked, CheckAddress(listen, !tls_dir.empty()));
    HONE_RETURN_IF_ERROR(ClearSocket(checked));
    grpc::ServerBuilder builder;
    int port = 0;
    CallChecks checks = {.admit = [this](const Peer& peer, absl::string_view method) {
      return revocations_.Check(peer);
    }};
    HONE_RETURN_IF_ERROR(ConfigureServer(
        {.address = checked, .tls_dir = tls_dir, .checks = std::move(checks)}, builder, &port));
    builder.RegisterService(&farm_);
    builder.RegisterService(&agents_);
    builder.RegisterService(&admin_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen at ", listen, ": it is in use, or may not be made; choose another"));
    }
    address_ = absl::StartsWith(checked, "unix:")
                   ? checked
                   : absl::StrCat(checked.substr(0, checked.rfind(':')), ":", port);
    log_->Write(Event::kTrackerStarted, {{"address", address_}, {"version", HONE_VERSION}});
    return absl::OkStatus();
  }

  Status ServeWeb(const std::string& listen) {
    const WebSource source = {
        .snapshot = [this](const pb::SnapshotRequest& r) { return shell_->Snapshot(r); },
        .health = [this] { return shell_->Health(); },
    };
    HONE_ASSIGN_OR_RETURN(web_, WebServer::Start(listen, source));
    log_->Write(Event::kWebListening, {{"address", web_->address()}});
    return absl::OkStatus();
  }

  FarmShell& shell() { return *shell_; }
  std::string web_address() const { return web_ == nullptr ? "" : web_->address(); }
  const std::string& address() const { return address_; }

 private:
  const std::unique_ptr<EventLog> log_;
  const std::unique_ptr<FarmShell> shell_;
  Revocations revocations_;
  FarmService farm_;
  AgentService agents_;
  AdminService admin_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<WebServer> web_;  // null if none is wanted
  std::string address_;
};

TrackerServer::TrackerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TrackerServer::~TrackerServer() = default;

StatusOr<std::unique_ptr<TrackerServer>> TrackerServer::Start(const TrackerOptions& options,
                                                              FarmJournal& journal,
                                                              const Clock& clock) {
  auto log = std::make_unique<EventLog>(options.log_format, clock, options.log);
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<FarmShell> shell,
                        FarmShell::Start(options.limits, journal, clock, *log));
  auto impl = std::make_unique<Impl>(std::move(log), std::move(shell));
  HONE_RETURN_IF_ERROR(impl->Listen(options.listen, options.tls_dir));
  if (!options.web.empty()) HONE_RETURN_IF_ERROR(impl->ServeWeb(options.web));
  return std::unique_ptr<TrackerServer>(new TrackerServer(std::move(impl)));
}

const std::string& TrackerServer::address() const { return impl_->address(); }

std::string TrackerServer::web_address() const { return impl_->web_address(); }

void TrackerServer::Tick() { impl_->shell().Tick(); }

}  // namespace hone
