#include "device_agent/measuring_worker.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
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

std::chrono::milliseconds BatchDeadline(const pb::Batch& batch) {
  const int64_t timeout_ms = batch.timeout_ms() > 0 ? batch.timeout_ms() : kTimeoutDefaultMs;
  return std::chrono::milliseconds(kBatchGraceMs + kTimeoutsPerCandidate * timeout_ms *
                                                       (batch.candidates_size() + 1));
}

// A worker process with its socket on the io_context.
struct Worker {
  Worker(asio::io_context& context, ChildProcess started)
      : child(std::move(started)), socket(context), ended(context) {
    // Duplicates: asio closes its own, the child's handle closes its own.
    socket.assign(asio::local::stream_protocol(), dup(child.socket()));
    ended.assign(dup(child.pidfd()));
  }

  ChildProcess child;
  asio::local::stream_protocol::socket socket;
  asio::posix::stream_descriptor ended;
  FrameDecoder decoder;
  std::array<char, 65536> chunk;
  std::string outgoing;
};

}  // namespace

// Shared with the handlers that are under way, each of which holds the worker it is about: what a
// killed worker still brings is for nobody.
class MeasuringWorker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, std::string program)
      : context_(context), program_(std::move(program)), deadline_(context) {}

  Status StartWorker() {
    HONE_ASSIGN_OR_RETURN(ChildProcess child, ChildProcess::Start({.program = program_}));
    worker_ = std::make_shared<Worker>(context_, std::move(child));
    return absl::OkStatus();
  }

  void Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done) {
    HONE_CHECK(done_ == nullptr) << "a batch is being measured already";
    done_ = std::move(done);
    result_.Clear();
    finished_.assign(batch.candidates_size(), false);
    for (int i = 0; i < batch.candidates_size(); ++i) result_.add_measurements();
    if (worker_ == nullptr) {
      if (const Status status = StartWorker(); !status.ok()) {
        asio::post(context_, [self = shared_from_this(), status] {
          if (self->done_ != nullptr) self->Finish(std::string(status.message()));
        });
        return;
      }
    }
    pb::MeasureRequest request;
    *request.mutable_batch() = batch;
    worker_->outgoing = EncodeFrame(request);
    asio::async_write(worker_->socket, asio::buffer(worker_->outgoing),
                      [worker = worker_](error_code, size_t) {});  // reading tells, too
    Read();
    deadline_.expires_after(BatchDeadline(batch));
    deadline_.async_wait([self = shared_from_this(), worker = worker_](error_code error) {
      if (error || self->worker_ != worker || self->done_ == nullptr) return;
      self->KillWorker();
      self->Finish("the worker did not finish in time and was killed");
    });
  }

  void Cancel() {
    if (done_ == nullptr) return;
    done_ = nullptr;
    deadline_.cancel();
    KillWorker();
  }

  // Never waits for the end: the process is reaped when the kernel says that it is gone.
  void KillWorker() {
    if (worker_ == nullptr) return;
    std::shared_ptr<Worker> worker = std::move(worker_);
    worker_ = nullptr;
    worker->child.Signal(SIGKILL);
    error_code ignored;
    worker->socket.close(ignored);
    worker->ended.async_wait(asio::posix::stream_descriptor::wait_read,
                             [worker](error_code) { worker->child.Poll(); });
  }

 private:
  void Read() {
    worker_->socket.async_read_some(
        asio::buffer(worker_->chunk),
        [self = shared_from_this(), worker = worker_](error_code error, size_t bytes) {
          if (self->worker_ != worker || self->done_ == nullptr) return;
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

  // Hands over the result; candidates not finished are INFRA because of `reason`.
  void Finish(const std::string& reason) {
    deadline_.cancel();
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
  const std::string program_;
  asio::steady_timer deadline_;
  std::shared_ptr<Worker> worker_;             // null after it was killed, until the next batch
  std::function<void(pb::BatchResult)> done_;  // null while nothing is measured
  pb::BatchResult result_;
  std::vector<bool> finished_;
};

StatusOr<std::unique_ptr<MeasuringWorker>> MeasuringWorker::Start(asio::io_context& context,
                                                                  std::string program) {
  auto impl = std::make_shared<Impl>(context, std::move(program));
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

void MeasuringWorker::Cancel() { impl_->Cancel(); }

}  // namespace hone
