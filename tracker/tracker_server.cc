#include "tracker/tracker_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "rpc/address.h"
#include "rpc/call_counts.h"
#include "rpc/channel.h"
#include "tracker/admin_service.h"
#include "tracker/agent_service.h"
#include "tracker/audit_interceptor.h"
#include "tracker/audit_log.h"
#include "tracker/blob_service.h"
#include "tracker/build_service.h"
#include "tracker/farm_service.h"
#include "tracker/farm_shell.h"
#include "tracker/health_names.h"
#include "tracker/job_service.h"
#include "tracker/job_shell.h"
#include "tracker/join_desk.h"
#include "tracker/listening_socket.h"
#include "tracker/record_service.h"
#include "tracker/revocations.h"
#include "tracker/security_service.h"
#include "tracker/tuning_service.h"
#include "tracker/web_server.h"

namespace hone {
namespace {

constexpr std::chrono::milliseconds kShutdownGrace(500);
constexpr int kTicksASecond = 10;

// Null if nobody can join: plain text, or an authority whose key is elsewhere.
StatusOr<std::unique_ptr<JoinDesk>> MakeDesk(const TrackerOptions& options, SecurityStore& store,
                                             AuditLog& log, const Clock& clock) {
  if (options.tls_dir.empty() || IsUnixSocket(options.listen)) return std::unique_ptr<JoinDesk>();
  StatusOr<FarmAuthority> authority = FarmAuthority::Open(TlsFolder(options.tls_dir));
  if (absl::IsNotFound(authority.status())) return std::unique_ptr<JoinDesk>();
  HONE_RETURN_IF_ERROR(authority.status());
  const size_t colon = options.listen.rfind(':');
  JoinDeskOptions desk = {.tls_dir = options.tls_dir,
                          .host = options.listen.substr(0, colon),
                          .port = options.join_port};
  int port = 0;
  if (desk.port == 0 && absl::SimpleAtoi(options.listen.substr(colon + 1), &port) && port != 0) {
    desk.port = port + 1;
  }
  return std::make_unique<JoinDesk>(std::move(desk), *std::move(authority), store, log, clock);
}

}  // namespace

class TrackerServer::Impl {
 public:
  Impl(std::unique_ptr<EventLog> log, std::unique_ptr<BlobStore> blob_store,
       std::unique_ptr<FarmShell> shell, std::unique_ptr<AuditLog> audit,
       std::unique_ptr<JoinDesk> desk, std::unique_ptr<JobShell> jobs, FarmDatabase& database,
       const TrackerOptions& options, std::vector<pb::BuiltReply> built, const Clock& clock)
      : log_(std::move(log)),
        blob_store_(std::move(blob_store)),
        shell_(std::move(shell)),
        audit_(std::move(audit)),
        desk_(std::move(desk)),
        job_shell_(std::move(jobs)),
        call_counts_(options.member_calls_max),
        farm_(*shell_, [this](const pb::SnapshotRequest& request) { return Look(request); }),
        agents_(*shell_, revocations_),
        admin_(*shell_, revocations_),
        security_(database, *audit_, desk_.get()),
        blobs_(*blob_store_, *shell_),
        builds_(options.builds, std::move(built), database, *blob_store_, clock),
        tuning_(*job_shell_),
        jobs_(*job_shell_),
        records_(database) {
    revocations_.Update(shell_->GetPolicy());
  }

  ~Impl() {
    web_.reset();
    job_shell_->ShutDown();
    shell_->ShutDown();
    builds_.ShutDown();
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    audit_->Flush().IgnoreError();
    log_->Write(Event::kTrackerStopped, {{"address", address_}});
  }

  Status Listen(const std::string& listen, const std::string& tls_dir) {
    HONE_ASSIGN_OR_RETURN(const std::string checked, CheckAddress(listen, !tls_dir.empty()));
    HONE_RETURN_IF_ERROR(ClearSocket(checked));
    grpc::ServerBuilder builder;
    int port = 0;
    CallChecks checks = Checks();
    checks.admit = [this, admit = checks.admit](const Peer& peer, absl::string_view method) {
      HONE_RETURN_IF_ERROR(call_counts_.Check(peer.identity));
      return admit(peer, method);
    };
    HONE_RETURN_IF_ERROR(ConfigureServer(
        {.address = checked, .tls_dir = tls_dir, .checks = std::move(checks)}, builder, &port));
    grpc::EnableDefaultHealthCheckService(true);
    // Lets tools such as grpcurl ask what there is to call. The library adds itself to every server
    // of a process that links it; this call makes sure that it is linked.
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    builder.RegisterService(&farm_);
    builder.RegisterService(&agents_);
    builder.RegisterService(&admin_);
    builder.RegisterService(&blobs_);
    builder.RegisterService(&builds_);
    builder.RegisterService(&security_);
    builder.RegisterService(&tuning_);
    builder.RegisterService(&jobs_);
    builder.RegisterService(&records_);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(MakeCallCounters(call_counts_));
    interceptors.push_back(MakeAuditInterceptors(*audit_));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    HONE_ASSIGN_OR_RETURN(server_, StartServer(checked, builder, port, &address_));
    server_->GetHealthCheckService()->SetServingStatus(kAlive, true);
    TellHealth();
    log_->Write(Event::kTrackerStarted, {{"address", address_}, {"version", HONE_VERSION}});
    return absl::OkStatus();
  }

  Status ServeWeb(const std::string& listen, const std::string& tls_dir) {
    const WebSource source = {
        .snapshot = [this](const pb::SnapshotRequest& request) { return Look(request); },
        .health = [this] { return shell_->Health(); },
    };
    HONE_ASSIGN_OR_RETURN(
        web_, WebServer::Start(listen, source, {}, {.tls_dir = tls_dir, .checks = Checks()}));
    log_->Write(Event::kWebListening, {{"address", web_->address()}});
    return absl::OkStatus();
  }

  void Tick() {
    shell_->Tick();
    builds_.Tick();
    TellHealth();
    job_shell_->Tick();
    if (++ticks_ % kTicksASecond != 1) return;
    Status status = audit_->Flush();
    if (status.ok() && desk_ != nullptr) status = desk_->Tick();
    // Said once, not once a second.
    if (status.code() != trouble_.code() && !status.ok()) {
      log_->Write(Event::kJournalFailed, {{"error", std::string(status.message())}});
    }
    trouble_ = status;
  }

  std::string web_url() const { return web_ == nullptr ? "" : web_->url(); }
  const std::string& address() const { return address_; }

 private:
  // Of calls, and of looks at the page.
  CallChecks Checks() {
    CallChecks checks;
    checks.admit = [this](const Peer& peer, absl::string_view method) {
      return revocations_.Check(peer);
    };
    checks.refused = [this](const Identity& peer, absl::string_view method, const Status& why) {
      audit_->Note({.identity = peer.ToString(), .method = method, .outcome = why.code()});
    };
    return checks;
  }

  // All that there is to see of the farm now.
  pb::FarmSnapshot Look(const pb::SnapshotRequest& request) {
    pb::FarmSnapshot snapshot = shell_->Snapshot(request);
    job_shell_->AddTo(request, &snapshot);
    builds_.AddTo(request, &snapshot);
    return snapshot;
  }

  // Only what changes: each word goes to everybody who watches.
  void TellHealth() {
    const bool serving = shell_->Health().ok();
    if (told_serving_ == serving) return;
    told_serving_ = serving;
    for (const char* name : kHealthNames) {
      server_->GetHealthCheckService()->SetServingStatus(name, serving);
    }
  }

  const std::unique_ptr<EventLog> log_;
  const std::unique_ptr<BlobStore> blob_store_;
  const std::unique_ptr<FarmShell> shell_;
  const std::unique_ptr<AuditLog> audit_;
  const std::unique_ptr<JoinDesk> desk_;  // null if nobody can join
  const std::unique_ptr<JobShell> job_shell_;
  Revocations revocations_;
  CallCounts call_counts_;
  FarmService farm_;
  AgentService agents_;
  AdminService admin_;
  SecurityService security_;
  BlobService blobs_;
  BuildService builds_;
  TuningService tuning_;
  JobService jobs_;
  RecordService records_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<WebServer> web_;  // null if none is wanted
  std::string address_;
  int64_t ticks_ = 0;
  Status trouble_;  // of the latest second
  std::optional<bool> told_serving_;
};

TrackerServer::TrackerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TrackerServer::~TrackerServer() = default;

StatusOr<std::unique_ptr<TrackerServer>> TrackerServer::Start(const TrackerOptions& options,
                                                              FarmDatabase& database,
                                                              const Clock& clock) {
  auto log = std::make_unique<EventLog>(options.log_format, clock, options.log);
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<BlobStore> blobs, BlobStore::Open(options.blobs));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<FarmShell> shell,
                        FarmShell::Start(options.limits, database, *blobs, clock, *log));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<AuditLog> audit, AuditLog::Open(database, clock));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JoinDesk> desk, MakeDesk(options, database, *audit, clock));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JobShell> jobs,
                        JobShell::Start(options.job_limits, database, *shell, clock, *log));
  HONE_ASSIGN_OR_RETURN(std::vector<pb::BuiltReply> built, database.LoadBuilds());
  auto impl = std::make_unique<Impl>(std::move(log), std::move(blobs), std::move(shell),
                                     std::move(audit), std::move(desk), std::move(jobs), database,
                                     options, std::move(built), clock);
  HONE_RETURN_IF_ERROR(impl->Listen(options.listen, options.tls_dir));
  if (!options.web.empty()) {
    HONE_RETURN_IF_ERROR(impl->ServeWeb(options.web, options.tls_dir));
  }
  return std::unique_ptr<TrackerServer>(new TrackerServer(std::move(impl)));
}

const std::string& TrackerServer::address() const { return impl_->address(); }

std::string TrackerServer::web_url() const { return impl_->web_url(); }

void TrackerServer::Tick() { impl_->Tick(); }

}  // namespace hone
