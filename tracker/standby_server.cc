#include "tracker/standby_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rpc/address.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_list.h"
#include "tracker/health_names.h"
#include "tracker/listening_socket.h"

namespace hone {
namespace {

constexpr std::chrono::milliseconds kShutdownGrace(100);

// Ends a call before anything of it is read.
class Refusal : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

// Every method of every service.
class Refuser : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    absl::MutexLock lock(&mutex_);
    return new Refusal(NotTheLeader(leader_));
  }
  void SetLeader(const std::string& address) {
    absl::MutexLock lock(&mutex_);
    leader_ = address;
  }

 private:
  absl::Mutex mutex_;
  std::string leader_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

class StandbyServer::Impl {
 public:
  ~Impl() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  }

  Status Listen(const std::string& listen, const std::string& tls_dir) {
    HONE_ASSIGN_OR_RETURN(const std::string checked, CheckAddress(listen, !tls_dir.empty()));
    HONE_RETURN_IF_ERROR(ClearSocket(checked));
    grpc::ServerBuilder builder;
    int port = 0;
    HONE_RETURN_IF_ERROR(ConfigureServer({.address = checked, .tls_dir = tls_dir}, builder, &port));
    grpc::EnableDefaultHealthCheckService(true);
    builder.RegisterCallbackGenericService(&refuser_);
    HONE_ASSIGN_OR_RETURN(server_, StartServer(checked, builder, port, &address_));
    grpc::HealthCheckServiceInterface& health = *server_->GetHealthCheckService();
    for (const char* name : kHealthNames) health.SetServingStatus(name, false);
    health.SetServingStatus(kAlive, true);
    return absl::OkStatus();
  }

  void SetLeader(const std::string& address) { refuser_.SetLeader(address); }
  const std::string& address() const { return address_; }

 private:
  Refuser refuser_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

StandbyServer::StandbyServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StandbyServer::~StandbyServer() = default;

StatusOr<std::unique_ptr<StandbyServer>> StandbyServer::Start(const std::string& listen,
                                                              const std::string& tls_dir) {
  auto impl = std::make_unique<Impl>();
  HONE_RETURN_IF_ERROR(impl->Listen(listen, tls_dir));
  return std::unique_ptr<StandbyServer>(new StandbyServer(std::move(impl)));
}

void StandbyServer::SetLeader(const std::string& address) { impl_->SetLeader(address); }

const std::string& StandbyServer::address() const { return impl_->address(); }

}  // namespace hone
