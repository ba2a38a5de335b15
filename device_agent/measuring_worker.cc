#include "device_agent/measuring_worker.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/cpus.h"
#include "device_agent/sandbox/cgroup.h"
#include "device_agent/sandbox/kill_ladder.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int64_t kTimeoutDefaultMs = 10000;
// What the whole batch may take before the worker, which watches each run itself, counts as broken.
constexpr int64_t kBatchGraceMs = 120000;
constexpr int64_t kTimeoutsPerCandidate = 4;
// Each run may take as long as it likes within its limit; how many there are is its client's
// choice.
constexpr int64_t kTimeoutsPerModel = 20;
constexpr std::chrono::seconds kCanaryTimeout(30);

constexpr int kFarewellMs = 1000;
constexpr int kProcessesMax = 2048;  // threads count, of kernels and of the reference

// Leaves a quarter of the machine to others.
int64_t MemoryLimit() { return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE) / 4 * 3; }

std::chrono::milliseconds BatchDeadline(const pb::Batch& batch) {
  const int64_t timeout_ms = batch.timeout_ms() > 0 ? batch.timeout_ms() : kTimeoutDefaultMs;
  if (batch.has_model()) {
    return std::chrono::milliseconds(kBatchGraceMs + kTimeoutsPerModel * timeout_ms +
                                     kTimeoutsPerCandidate * batch.model().timing().budget_ms());
  }
  return std::chrono::milliseconds(kBatchGraceMs + kTimeoutsPerCandidate * timeout_ms *
                                                       (batch.candidates_size() + 1));
}

// A worker process with its socket on the io_context.
struct Worker {
  Worker(asio::io_context& context, ChildProcess started, std::optional<Cgroup> group)
      : child(std::move(started)), cgroup(std::move(group)), socket(context) {
    // A duplicate: asio closes its own, the child's handle closes its own.
    socket.assign(asio::local::stream_protocol(), dup(child.socket()));
  }
  ~Worker() {
    // At the agent's own end: time to go in an orderly way, and not much.
    child.Signal(SIGTERM);
    child.WaitFor(kFarewellMs);
    child.Signal(SIGKILL);
    child.Wait();
    if (cgroup.has_value()) {
      cgroup->KillAll();
      cgroup->Remove();
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  ChildProcess child;
  std::optional<Cgroup> cgroup;
  asio::local::stream_protocol::socket socket;
  FrameDecoder decoder;
  std::array<char, 65536> chunk;
  std::string outgoing;
};

}  // namespace

// Shared with the handlers that are under way, each of which holds the worker it is about: what a
// killed worker still brings is for nobody.
class MeasuringWorker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, MeasuringWorkerOptions options)
      : context_(context), options_(std::move(options)), deadline_(context) {}

  Status StartWorker() {
    const ScopedCpus on_its_cpus(options_.cpus);  // a child may use what its parent may
    ChildProcess::Options options;
    options.program = options_.program;
    if (options_.sandbox.has_value())
      options.arguments.push_back(absl::StrCat("--sandbox=", SandboxLevelName(*options_.sandbox)));
    std::optional<Cgroup> cgroup = Cgroup::Create(
        "",
        Cgroup::NameFor(
            getpid(), absl::StrCat(absl::Hex(reinterpret_cast<uintptr_t>(this)), "-", ++started_)),
        {.memory_bytes = MemoryLimit(), .processes = kProcessesMax});
    if (cgroup.has_value()) {
      for (const std::string& folder : cgroup->folders())
        options.arguments.push_back(absl::StrCat("--cgroup=", folder));
    }
    StatusOr<ChildProcess> child = ChildProcess::Start(options);
    if (!child.ok() && cgroup.has_value()) cgroup->Remove();
    HONE_RETURN_IF_ERROR(child.status());
    worker_ = std::make_shared<Worker>(context_, *std::move(child), std::move(cgroup));
    return absl::OkStatus();
  }

  void Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done) {
    HONE_CHECK(!AtWork()) << "the worker is at work already";
    done_ = std::move(done);
    result_.Clear();
    finished_.assign(batch.candidates_size(), false);
    for (int i = 0; i < batch.candidates_size(); ++i) result_.add_measurements();
    pb::MeasureRequest request;
    *request.mutable_batch() = batch;
    Send(EncodeFrame(request), BatchDeadline(batch));
  }

  void RunModel(const pb::Batch& batch,
                const std::vector<std::shared_ptr<const std::string>>& bytes,
                std::function<void(ModelOutcome)> done) {
    HONE_CHECK(!AtWork()) << "the worker is at work already";
    model_done_ = std::move(done);
    outcome_ = {};
    outcome_.outputs.resize(static_cast<size_t>(batch.model().output_bytes_size()));
    pb::MeasureRequest request;
    *request.mutable_batch() = batch;
    int64_t total = 0;
    std::string frames;
    for (const auto& piece : bytes) {
      if (piece->empty()) continue;
      total += static_cast<int64_t>(piece->size());
      pb::MeasureRequest more;
      more.set_model_bytes(*piece);
      frames += EncodeFrame(more);
    }
    request.set_model_bytes_to_come(total);
    Send(EncodeFrame(request) + frames, BatchDeadline(batch));
  }

  void RunCanary(const std::string& target, std::function<void(StatusOr<pb::CanaryReading>)> done) {
    HONE_CHECK(!AtWork()) << "the worker is at work already";
    canary_done_ = std::move(done);
    pb::MeasureRequest request;
    request.set_canary_target(target);
    Send(EncodeFrame(request), kCanaryTimeout);
  }

  void Cancel() {
    if (!AtWork()) return;
    done_ = nullptr;
    model_done_ = nullptr;
    canary_done_ = nullptr;
    deadline_.cancel();
    KillWorker();
  }

  // Never waits for the end: the process is reaped when the kernel says that it is gone.
  void KillWorker() {
    if (worker_ == nullptr) return;
    std::shared_ptr<Worker> worker = std::move(worker_);
    worker_ = nullptr;
    error_code ignored;
    worker->socket.close(ignored);
    KillRungs rungs;
    // The first process of its namespaces takes all others along; the worker tells it.
    rungs.kill = [worker] { worker->child.Signal(SIGTERM); };
    rungs.kill_group = [worker] {
      if (worker->cgroup.has_value()) worker->cgroup->KillAll();
      worker->child.Signal(SIGKILL);
    };
    ClimbKillLadder(context_, worker->child.pidfd(), std::move(rungs),
                    [worker, on_unkillable = options_.on_unkillable](const std::string& failure) {
                      if (failure.empty()) {
                        worker->child.Poll();
                        return;
                      }
                      // Kept for good: letting go of it would wait for it.
                      new std::shared_ptr<Worker>(worker);
                      if (on_unkillable != nullptr) on_unkillable(failure);
                    });
  }

 private:
  bool AtWork() const {
    return done_ != nullptr || model_done_ != nullptr || canary_done_ != nullptr;
  }

  void Send(std::string frames, std::chrono::milliseconds patience) {
    if (worker_ == nullptr) {
      if (const Status status = StartWorker(); !status.ok()) {
        asio::post(context_, [self = shared_from_this(), status] {
          if (self->AtWork()) self->Finish(std::string(status.message()));
        });
        return;
      }
    }
    worker_->outgoing = std::move(frames);
    asio::async_write(worker_->socket, asio::buffer(worker_->outgoing),
                      [worker = worker_](error_code, size_t) {});  // reading tells, too
    Read();
    deadline_.expires_after(patience);
    deadline_.async_wait([self = shared_from_this(), worker = worker_](error_code error) {
      if (error || self->worker_ != worker || !self->AtWork()) return;
      self->KillWorker();
      self->Finish("the worker did not finish in time and was killed");
    });
  }

  void Read() {
    worker_->socket.async_read_some(
        asio::buffer(worker_->chunk),
        [self = shared_from_this(), worker = worker_](error_code error, size_t bytes) {
          if (self->worker_ != worker || !self->AtWork()) return;
          self->OnRead(error, bytes);
        });
  }

  void OnRead(const error_code& error, size_t bytes) {
    if (error) {
      const std::optional<ProcessEnd> end = worker_->child.WaitFor(0);
      KillWorker();
      return Finish(absl::StrCat("the measuring worker ended early: ",
                                 end.has_value() ? end->ToString() : error.message()));
    }
    worker_->decoder.Append(absl::string_view(worker_->chunk.data(), bytes));
    pb::MeasureReply reply;
    while (true) {
      const StatusOr<bool> complete = worker_->decoder.Next(reply);
      if (!complete.ok()) {
        KillWorker();
        return Finish(std::string(complete.status().message()));
      }
      if (!*complete) return Read();
      if (canary_done_ != nullptr) {
        if (!reply.has_canary()) continue;
        deadline_.cancel();
        const auto done = std::exchange(canary_done_, nullptr);
        return done(std::move(*reply.mutable_canary()));
      }
      if (model_done_ != nullptr) {
        if (TakeModelReply(reply)) return;
        continue;
      }
      if (reply.has_done()) {
        *result_.mutable_reference() = reply.done().reference();
        result_.set_error(reply.done().error());
        return Finish("the worker left this candidate out");
      }
      const int index = reply.candidate().index();
      if (index < 0 || index >= result_.measurements_size()) continue;
      *result_.mutable_measurements(index) = reply.candidate().measurement();
      finished_[index] = true;
    }
  }

  // Whether that was the last one.
  bool TakeModelReply(pb::MeasureReply& reply) {
    if (reply.has_model_bytes()) {
      const int output = reply.model_bytes().output();
      if (output >= static_cast<int>(outcome_.outputs.size())) return false;
      std::string& bytes =
          output < 0 ? outcome_.run_ns : outcome_.outputs[static_cast<size_t>(output)];
      bytes += reply.model_bytes().data();
    }
    if (!reply.has_model()) return false;
    outcome_.measurement = std::move(*reply.mutable_model()->mutable_measurement());
    outcome_.result = std::move(*reply.mutable_model()->mutable_result());
    FinishModel();
    return true;
  }

  void FinishModel() {
    deadline_.cancel();
    const auto done = std::exchange(model_done_, nullptr);
    done(std::move(outcome_));
  }

  // Hands over the result; candidates not finished are INFRA because of `reason`.
  void Finish(const std::string& reason) {
    deadline_.cancel();
    if (canary_done_ != nullptr) {
      const auto done = std::exchange(canary_done_, nullptr);
      return done(absl::UnavailableError(reason));
    }
    if (model_done_ != nullptr) {
      outcome_ = {};
      outcome_.measurement.set_failure(pb::INFRA);
      outcome_.measurement.set_message(reason);
      return FinishModel();
    }
    for (size_t i = 0; i < finished_.size(); ++i) {
      if (finished_[i]) continue;
      pb::Measurement& measurement = *result_.mutable_measurements(static_cast<int>(i));
      measurement.set_failure(pb::INFRA);
      measurement.set_message(reason);
    }
    const auto done = std::exchange(done_, nullptr);
    done(std::move(result_));
  }

  asio::io_context& context_;
  const MeasuringWorkerOptions options_;
  int started_ = 0;  // workers so far
  asio::steady_timer deadline_;
  std::shared_ptr<Worker> worker_;             // null after it was killed, until the next batch
  std::function<void(pb::BatchResult)> done_;  // null while no batch is measured
  std::function<void(StatusOr<pb::CanaryReading>)> canary_done_;  // null while no canary runs
  pb::BatchResult result_;
  std::vector<bool> finished_;
  std::function<void(ModelOutcome)> model_done_;  // null while no model runs
  ModelOutcome outcome_;
};

StatusOr<std::unique_ptr<MeasuringWorker>> MeasuringWorker::Start(asio::io_context& context,
                                                                  MeasuringWorkerOptions options) {
  auto impl = std::make_shared<Impl>(context, std::move(options));
  HONE_RETURN_IF_ERROR(impl->StartWorker());
  return std::unique_ptr<MeasuringWorker>(new MeasuringWorker(std::move(impl)));
}

MeasuringWorker::MeasuringWorker(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MeasuringWorker::~MeasuringWorker() {
  impl_->Cancel();
  impl_->KillWorker();
}

void MeasuringWorker::Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done) {
  impl_->Measure(batch, std::move(done));
}

void MeasuringWorker::RunModel(const pb::Batch& batch,
                               const std::vector<std::shared_ptr<const std::string>>& bytes,
                               std::function<void(ModelOutcome)> done) {
  impl_->RunModel(batch, bytes, std::move(done));
}

void MeasuringWorker::RunCanary(const std::string& target,
                                std::function<void(StatusOr<pb::CanaryReading>)> done) {
  impl_->RunCanary(target, std::move(done));
}

void MeasuringWorker::Cancel() { impl_->Cancel(); }

}  // namespace hone
