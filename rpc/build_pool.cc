#include "rpc/build_pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How often a thread that waits for its worker looks whether it shall stop.
constexpr int kTickMs = 50;
// How long a worker whose socket closed may take to end.
constexpr int kEndGraceMs = 2000;

pb::BuildReply Failure(uint64_t id, pb::FailureKind kind, absl::string_view message) {
  pb::BuildReply reply;
  reply.set_id(id);
  reply.mutable_failure()->set_failure(kind);
  reply.mutable_failure()->set_message(std::string(message));
  return reply;
}

}  // namespace

class BuildPool::Impl {
 public:
  Impl(Options options, ChildProcess first) : options_(std::move(options)) {
    HONE_CHECK(options_.workers >= 1);
    HONE_CHECK(options_.workers_beside >= 0);
    HONE_CHECK(options_.queue_max >= 1);
    slots_.resize(options_.workers);
    for (int i = 0; i < options_.workers; ++i) slots_[i].goes_on = i < options_.workers_beside;
    slots_[0].worker = std::move(first);
    for (Slot& slot : slots_) threads_.emplace_back([this, &slot] { Serve(slot); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      // SIGKILL ends stopped processes too.
      for (Slot& slot : slots_) {
        if (slot.worker.has_value()) slot.worker->Signal(SIGKILL);
      }
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    for (Task& task : queue_)
      task.done(Failure(task.request.id(), pb::CANCELLED, "the build pool was closed"));
  }

  static StatusOr<ChildProcess> StartWorker(const Options& options) {
    return ChildProcess::Start(
        {.program = options.program, .arguments = options.arguments, .nice = options.nice});
  }

  void Submit(pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return queue_.size() < size_t(options_.queue_max); });
      queue_.push_back({std::move(request), std::move(done)});
    }
    changed_.notify_all();
  }

  void Pause() {
    std::lock_guard lock(mutex_);
    if (pauses_++ > 0) return;
    for (Slot& slot : slots_) {
      if (slot.worker.has_value() && !slot.goes_on) slot.worker->Signal(SIGSTOP);
    }
  }

  void Resume() {
    {
      std::lock_guard lock(mutex_);
      HONE_CHECK(pauses_ > 0) << "Resume without Pause";
      if (--pauses_ > 0) return;
      for (Slot& slot : slots_) {
        if (slot.worker.has_value() && !slot.goes_on) slot.worker->Signal(SIGCONT);
      }
    }
    changed_.notify_all();
  }

 private:
  struct Task {
    pb::BuildRequest request;
    std::function<void(pb::BuildReply)> done;
  };
  // A worker and the thread that speaks to it. Only that thread replaces or reaps the worker, and
  // holds the lock while it does, so that others may send it signals under the lock.
  struct Slot {
    std::optional<ChildProcess> worker;
    bool goes_on = false;  // while the pool is paused
  };

  bool IsPaused(const Slot& slot) const { return pauses_ > 0 && !slot.goes_on; }

  void Serve(Slot& slot) {
    while (true) {
      std::optional<Task> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || (!IsPaused(slot) && !queue_.empty()); });
        if (stopping_) break;
        task = std::move(queue_.front());
        queue_.pop_front();
      }
      changed_.notify_all();
      pb::BuildReply reply = BuildOne(slot, task->request);
      task->done(std::move(reply));
    }
    std::lock_guard lock(mutex_);
    slot.worker.reset();
  }

  pb::BuildReply BuildOne(Slot& slot, const pb::BuildRequest& request) {
    if (Status status = EnsureWorker(slot); !status.ok())
      return Failure(request.id(), pb::INFRA, status.message());
    const ChildProcess& worker = *slot.worker;
    if (!WriteFrame(worker.socket(), request).ok()) return BuryWorker(slot, request.id());
    FrameDecoder decoder;
    int64_t left_ms = options_.timeout_ms;
    pb::BuildReply reply;
    while (true) {
      const SteadyClock::time_point before = SteadyClock::now();
      const bool readable = AwaitWorker(worker);
      {
        std::lock_guard lock(mutex_);
        if (stopping_) return Failure(request.id(), pb::CANCELLED, "the build pool was closed");
        if (!IsPaused(slot)) left_ms -= MillisSince(before);
      }
      if (readable) {
        const StatusOr<bool> complete = Receive(worker, decoder, reply);
        if (!complete.ok()) return BuryWorker(slot, request.id());
        if (*complete && reply.id() == request.id()) return reply;
      }
      if (left_ms <= 0) {
        KillWorker(slot);
        return Failure(request.id(), pb::TIMEOUT,
                       absl::StrCat("compiling took longer than ", options_.timeout_ms, " ms"));
      }
    }
  }

  static int64_t MillisSince(SteadyClock::time_point start) {
    return std::chrono::ceil<std::chrono::milliseconds>(SteadyClock::now() - start).count();
  }

  static bool AwaitWorker(const ChildProcess& worker) {
    pollfd event = {worker.socket(), POLLIN, 0};
    return poll(&event, 1, kTickMs) > 0;
  }

  // Takes what has arrived. True when `reply` is complete; an error when the worker is gone.
  static StatusOr<bool> Receive(const ChildProcess& worker, FrameDecoder& decoder,
                                pb::BuildReply& reply) {
    char chunk[65536];
    const ssize_t n = recv(worker.socket(), chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) return absl::UnavailableError("the worker closed its socket");
    decoder.Append(absl::string_view(chunk, static_cast<size_t>(n)));
    return decoder.Next(reply);
  }

  Status EnsureWorker(Slot& slot) {
    std::lock_guard lock(mutex_);
    if (slot.worker.has_value() && !slot.worker->Poll().has_value()) return absl::OkStatus();
    slot.worker.reset();
    HONE_ASSIGN_OR_RETURN(slot.worker, StartWorker(options_));
    if (IsPaused(slot)) slot.worker->Signal(SIGSTOP);
    return absl::OkStatus();
  }

  // The worker closed its socket or sent nonsense: says how it ended.
  pb::BuildReply BuryWorker(Slot& slot, uint64_t id) {
    pollfd event = {slot.worker->pidfd(), POLLIN, 0};
    poll(&event, 1, kEndGraceMs);  // waits without reaping, which needs the lock
    std::lock_guard lock(mutex_);
    if (stopping_) return Failure(id, pb::CANCELLED, "the build pool was closed");
    const std::optional<ProcessEnd> end = slot.worker->Poll();
    slot.worker.reset();
    // Somebody ended the whole job or terminal, before the worker was up and deaf to it.
    if (end.has_value() &&
        (end->signal == SIGTERM || end->signal == SIGINT || end->signal == SIGHUP)) {
      return Failure(id, pb::INFRA, absl::StrCat("the compiler was ", end->ToString()));
    }
    return Failure(id, pb::COMPILE_ERROR,
                   absl::StrCat("compiler crashed: ",
                                end.has_value() ? end->ToString() : "it closed its socket"));
  }

  void KillWorker(Slot& slot) {
    std::lock_guard lock(mutex_);
    slot.worker.reset();  // kills and reaps
  }

  const Options options_;
  std::vector<Slot> slots_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards all below, and the workers in slots_ as Slot says
  std::condition_variable changed_;
  std::deque<Task> queue_;
  int pauses_ = 0;
  bool stopping_ = false;
};

StatusOr<std::unique_ptr<BuildPool>> BuildPool::Start(Options options) {
  HONE_ASSIGN_OR_RETURN(ChildProcess first, Impl::StartWorker(options));
  return std::unique_ptr<BuildPool>(
      new BuildPool(std::make_unique<Impl>(std::move(options), std::move(first))));
}

BuildPool::BuildPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BuildPool::~BuildPool() = default;

void BuildPool::Submit(pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
  impl_->Submit(std::move(request), std::move(done));
}

std::future<pb::BuildReply> BuildPool::Build(pb::BuildRequest request) {
  auto promise = std::make_shared<std::promise<pb::BuildReply>>();
  std::future<pb::BuildReply> future = promise->get_future();
  impl_->Submit(std::move(request),
                [promise](pb::BuildReply reply) { promise->set_value(std::move(reply)); });
  return future;
}

void BuildPool::Pause() { impl_->Pause(); }
void BuildPool::Resume() { impl_->Resume(); }

}  // namespace hone
