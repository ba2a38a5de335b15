#include "tuner/service/front_door.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "compiler/ir/workload.h"
#include "compiler/model_source.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/address.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/job_client.h"
#include "rpc/tracker_line.h"

namespace hone {
namespace {

constexpr std::chrono::milliseconds kShutdownGrace(500);
constexpr std::chrono::seconds kCallTimeout(30);
constexpr int kMovesMax = 3;                       // of one call, from tracker to tracker
constexpr std::chrono::minutes kWatchTimeout(15);  // watchers renew their streams before

// One watcher: what the tracker says is read, and written on before more is read. The reading end
// is held open until a read or a write fails, so that it never ends while something is written.
class WatchRelay {
 public:
  WatchRelay(std::shared_ptr<TrackerLine> line, const pb::WatchJobRequest& request)
      : line_(std::move(line)),
        link_(line_->link()),
        stub_(link_->channel),
        request_(request),
        reader_(*this),
        writer_(*this) {
    context_.set_deadline(std::chrono::system_clock::now() + kWatchTimeout);
    stub_.async()->WatchJob(&context_, &request_, &reader_);
    reader_.AddHold();
    reader_.StartRead(&job_);
    reader_.StartCall();
  }

  grpc::ServerWriteReactor<pb::Job>* writer() { return &writer_; }

 private:
  class Reader : public grpc::ClientReadReactor<pb::Job> {
   public:
    explicit Reader(WatchRelay& relay) : relay_(relay) {}
    void OnReadDone(bool ok) override {
      if (ok) {
        relay_.writer_.StartWrite(&relay_.job_);
      } else {
        RemoveHold();
      }
    }
    void OnDone(const grpc::Status& status) override {
      relay_.writer_.Finish(ToGrpc(relay_.line_->Heard(*relay_.link_, FromGrpc(status))));
      relay_.Release();
    }

   private:
    WatchRelay& relay_;
  };

  class Writer : public grpc::ServerWriteReactor<pb::Job> {
   public:
    explicit Writer(WatchRelay& relay) : relay_(relay) {}
    void OnWriteDone(bool ok) override {
      if (ok) {
        relay_.reader_.StartRead(&relay_.job_);
      } else {
        relay_.context_.TryCancel();
        relay_.reader_.RemoveHold();
      }
    }
    void OnCancel() override { relay_.context_.TryCancel(); }
    void OnDone() override { relay_.Release(); }

   private:
    WatchRelay& relay_;
  };

  void Release() {
    if (--ends_open_ == 0) delete this;
  }

  const std::shared_ptr<TrackerLine> line_;
  const std::shared_ptr<const TrackerLine::Link> link_;
  pb::Tuning::Stub stub_;
  const pb::WatchJobRequest request_;
  grpc::ClientContext context_;
  pb::Job job_;  // on its way
  std::atomic<int> ends_open_ = 2;
  Reader reader_;
  Writer writer_;
};

class Relay : public pb::Tuning::CallbackService {
 public:
  Relay(std::shared_ptr<TrackerLine> line, JobClient& jobs) : line_(std::move(line)), jobs_(jobs) {}

  grpc::ServerUnaryReactor* UploadModel(grpc::CallbackServerContext* context,
                                        const pb::ModelPiece* request,
                                        pb::UploadModelReply* reply) override {
    return Pass(&pb::Tuning::Stub::async_interface::UploadModel, context, request, reply);
  }
  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* context,
                                      const pb::SubmitJobRequest* request,
                                      pb::Job* reply) override {
    const StatusOr<Identity> peer = PeerOf(*context->auth_context());
    const Status status = peer.ok() ? Check(request->spec()) : peer.status();
    if (!status.ok()) return Refuse(context, status);
    // The tracker knows the daemon, and takes its word for whose the job is.
    pb::SubmitJobRequest submitted = *request;
    submitted.mutable_spec()->set_user(UserOf(*peer, request->spec().user()));
    return PassOwn(&pb::Tuning::Stub::async_interface::SubmitJob, context, std::move(submitted),
                   reply);
  }
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const pb::ListJobsRequest* request,
                                     pb::ListJobsReply* reply) override {
    return Pass(&pb::Tuning::Stub::async_interface::ListJobs, context, request, reply);
  }
  grpc::ServerWriteReactor<pb::Job>* WatchJob(grpc::CallbackServerContext* context,
                                              const pb::WatchJobRequest* request) override {
    return (new WatchRelay(line_, *request))->writer();
  }
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const pb::JobRequest* request, pb::Job* reply) override {
    const StatusOr<Identity> peer = PeerOf(*context->auth_context());
    if (!peer.ok()) return Refuse(context, peer.status());
    pb::JobRequest cancelled = *request;
    cancelled.set_user(UserOf(*peer, request->user()));
    return PassOwn(&pb::Tuning::Stub::async_interface::CancelJob, context, std::move(cancelled),
                   reply);
  }
  grpc::ServerUnaryReactor* WhyJob(grpc::CallbackServerContext* context,
                                   const pb::JobRequest* request, pb::WhyJobReply* reply) override {
    return Pass(&pb::Tuning::Stub::async_interface::WhyJob, context, request, reply);
  }

 private:
  template <typename Request, typename Reply>
  using Method = void (pb::Tuning::Stub::async_interface::*)(grpc::ClientContext*, const Request*,
                                                             Reply*,
                                                             std::function<void(grpc::Status)>);

  static grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context,
                                          const Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  // `kept` is kept until the tracker has answered, as gRPC keeps the call's own request. Where a
  // tracker does not lead, or is gone, the next one has `moves_left` turns.
  template <typename Request, typename Reply>
  grpc::ServerUnaryReactor* Pass(Method<Request, Reply> method,
                                 grpc::CallbackServerContext* context, const Request* request,
                                 Reply* reply, std::shared_ptr<const Request> kept = nullptr) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    PassTo(line_->link(), method, request, reply, std::move(kept), kMovesMax, reactor);
    return reactor;
  }
  template <typename Request, typename Reply>
  void PassTo(std::shared_ptr<const TrackerLine::Link> link, Method<Request, Reply> method,
              const Request* request, Reply* reply, std::shared_ptr<const Request> kept,
              int moves_left, grpc::ServerUnaryReactor* reactor) {
    struct Onward {
      explicit Onward(std::shared_ptr<grpc::Channel> channel) : stub(std::move(channel)) {}
      pb::Tuning::Stub stub;
      grpc::ClientContext context;
    };
    auto onward = std::make_shared<Onward>(link->channel);
    onward->context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    (onward->stub.async()->*method)(
        &onward->context, request, reply,
        [this, onward, link, method, request, reply, kept, moves_left,
         reactor](const grpc::Status& answer) {
          const Status status = line_->HeardOfUncancelled(*link, FromGrpc(answer));
          const auto next = line_->link();
          if (!absl::IsUnavailable(status) || next == link || moves_left == 0) {
            reactor->Finish(ToGrpc(status));
          } else {
            PassTo(next, method, request, reply, kept, moves_left - 1, reactor);
          }
        });
  }
  // The same with a request that is not the call's.
  template <typename Request, typename Reply>
  grpc::ServerUnaryReactor* PassOwn(Method<Request, Reply> method,
                                    grpc::CallbackServerContext* context, Request request,
                                    Reply* reply) {
    const auto kept = std::make_shared<const Request>(std::move(request));
    return Pass<Request, Reply>(method, context, kept.get(), reply, kept);
  }

  // What no daemon could tune. A model that is not there yet is for the tracker to say.
  Status Check(const pb::JobSpec& spec) {
    if (!spec.workload().empty()) return Workload::Parse(spec.workload()).status();
    const StatusOr<std::string> model = jobs_.DownloadModel(spec.model_digest());
    if (absl::IsNotFound(model.status())) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(model.status());
    return PlanBytesAtTop(*model, spec.model(), {spec.shapes().begin(), spec.shapes().end()},
                          Target())
        .status();
  }

  const std::shared_ptr<TrackerLine> line_;
  JobClient& jobs_;
};

}  // namespace

class FrontDoor::Impl {
 public:
  Impl(std::shared_ptr<TrackerLine> line, std::unique_ptr<JobClient> jobs)
      : jobs_(std::move(jobs)), relay_(std::move(line), *jobs_) {}
  ~Impl() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  }

  Status Listen(const std::string& listen, const std::string& tls_dir) {
    HONE_ASSIGN_OR_RETURN(const std::string checked, CheckAddress(listen, !tls_dir.empty()));
    grpc::ServerBuilder builder;
    int port = 0;
    HONE_RETURN_IF_ERROR(ConfigureServer({.address = checked, .tls_dir = tls_dir}, builder, &port));
    builder.RegisterService(&relay_);
    HONE_ASSIGN_OR_RETURN(server_, StartServer(checked, builder, port, &address_));
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }

 private:
  const std::unique_ptr<JobClient> jobs_;
  Relay relay_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

FrontDoor::FrontDoor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrontDoor::~FrontDoor() = default;

StatusOr<std::unique_ptr<FrontDoor>> FrontDoor::Open(const std::string& listen,
                                                     const std::string& tracker,
                                                     const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line, TrackerLine::Open(tracker, tls_dir));
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JobClient> jobs, JobClient::Connect(tracker, tls_dir));
  auto impl = std::make_unique<Impl>(std::move(line), std::move(jobs));
  HONE_RETURN_IF_ERROR(impl->Listen(listen, tls_dir));
  return std::unique_ptr<FrontDoor>(new FrontDoor(std::move(impl)));
}

const std::string& FrontDoor::address() const { return impl_->address(); }

}  // namespace hone
