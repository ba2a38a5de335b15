// One thread has the time: it sends heartbeats, ends work and opens streams anew, each at its hour.
// All else happens in gRPC's reactions. An agent has one mutex; the clockwork's comes after it.
#include "tests/support/agent_crowd.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/agent_session.h"
#include "rpc/channel.h"
#include "tests/support/provenance.h"

namespace hone {
namespace {

constexpr absl::Duration kReportTimeout = absl::Seconds(30);
// Before a stream that broke is opened anew, and a report sent again: up to twice that.
constexpr absl::Duration kPause = absl::Milliseconds(250);

// Does things when their time has come, on its own thread.
class Clockwork {
 public:
  Clockwork() : thread_([this] { Run(); }) {}
  ~Clockwork() { Stop(); }

  // What is not done yet never is.
  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }
  void After(absl::Duration delay, std::function<void()> act) {
    absl::MutexLock lock(&mutex_);
    acts_.push({absl::Now() + delay, ++number_, std::move(act)});
  }

 private:
  struct Act {
    absl::Time when;
    uint64_t number;
    std::function<void()> act;
    bool operator<(const Act& other) const {
      return std::pair(other.when, other.number) < std::pair(when, number);
    }
  };

  void Run() {
    while (true) {
      std::function<void()> act;
      {
        absl::MutexLock lock(&mutex_);
        const auto woken = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
          return stopping_ || (!acts_.empty() && acts_.top().when <= absl::Now());
        };
        const absl::Time next =
            acts_.empty() ? absl::Now() + absl::Milliseconds(20) : acts_.top().when;
        mutex_.AwaitWithDeadline(absl::Condition(&woken),
                                 std::min(next, absl::Now() + absl::Milliseconds(20)));
        if (stopping_) return;
        if (acts_.empty() || acts_.top().when > absl::Now()) continue;
        act = std::move(const_cast<Act&>(acts_.top()).act);
        acts_.pop();
      }
      act();
    }
  }

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::priority_queue<Act> acts_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// What all agents of a crowd share.
struct Shared {
  CrowdOptions options;
  CrowdObserver observer;
  std::vector<std::unique_ptr<pb::Agents::Stub>> stubs;
  std::atomic<int> connected = 0;
  std::atomic<int64_t> granted = 0, settled = 0, streams = 0;
  // Streams and calls that gRPC has not finished with.
  absl::Mutex mutex;
  int open ABSL_GUARDED_BY(mutex) = 0;
  std::vector<double> grant_ms ABSL_GUARDED_BY(mutex);
  Clockwork clockwork;  // last: what it does uses the rest

  void Opened() {
    absl::MutexLock lock(&mutex);
    ++open;
  }
  void Closed() {
    absl::MutexLock lock(&mutex);
    --open;
  }
};

class CrowdAgent {
 public:
  CrowdAgent(Shared& shared, int number)
      : shared_(shared),
        name_(absl::StrCat(shared.options.name, number)),
        deaf_(number < shared.options.deaf),
        stub_(*shared.stubs[static_cast<size_t>(number) % shared.stubs.size()]),
        random_(static_cast<uint32_t>(number)) {}

  void Begin() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    Boot();
    OpenStream();
    BeatLater();
  }
  void Reboot() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    Boot();
    // What still comes on the stream of the earlier life is nothing to this one.
    if (Stream* const earlier = std::exchange(stream_, nullptr)) {
      earlier->context.TryCancel();
      if (deaf_) earlier->LetGo();
    }
  }
  void End() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    if (stream_ != nullptr) stream_->context.TryCancel();
    if (stream_ != nullptr && deaf_) stream_->LetGo();
    for (Call* call : calls_) call->context.TryCancel();
  }

 private:
  // One stream. A hold keeps it until its reads are over, since states are written from outside of
  // its reactions; gRPC calls OnDone last.
  class Stream : public grpc::ClientBidiReactor<pb::AgentState, pb::AgentOrders> {
   public:
    explicit Stream(CrowdAgent& agent) : agent_(agent) {}
    void Begin(pb::Agents::Stub& stub, bool reads) {
      stub.async()->Session(&context, this);
      AddHold();
      if (reads) StartRead(&orders_);
      StartCall();
    }
    void OnReadDone(bool ok) override {
      if (!ok) {
        agent_.StreamBroke(this);
        LetGo();
        return;
      }
      agent_.TakeOrders(this, orders_);
      StartRead(&orders_);
    }
    void OnWriteDone(bool ok) override { agent_.Wrote(this, ok); }
    // Nothing is written any more.
    void LetGo() {
      if (!let_go_.exchange(true)) RemoveHold();
    }
    void OnDone(const grpc::Status& status) override { agent_.StreamEnded(this); }

    grpc::ClientContext context;
    pb::AgentState outgoing;  // of the write under way

   private:
    CrowdAgent& agent_;
    std::atomic<bool> let_go_ = false;
    pb::AgentOrders orders_;
  };
  struct Call {
    grpc::ClientContext context;
    pb::ReportRequest request;
    pb::ReportReply reply;
    uint64_t boot = 0;
  };
  struct Held {
    std::string attempt_id;
    std::string batch_id;
    pb::Grant grant;
    bool reported = false;
  };

  std::string Life() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return absl::StrCat(name_, ":", boot_);
  }
  void Boot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    boot_ = std::max<uint64_t>(boot_ + 1, static_cast<uint64_t>(absl::ToUnixMillis(absl::Now())));
    held_.clear();
    asked_.clear();
    working_ = false;
    if (epoch_ != 0) --shared_.connected;
    epoch_ = 0;
  }
  void OpenStream() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ending_) return;
    shared_.Opened();
    ++shared_.streams;
    stream_ = new Stream(*this);
    stream_->Begin(stub_, !deaf_);
    sequence_ = 0;
    writing_ = false;
    Tell();
  }
  void BeatLater() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const double jitter = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
    const CrowdOptions& options = shared_.options;
    shared_.clockwork.After((deaf_ ? options.deaf_heartbeat : options.heartbeat) * jitter, [this] {
      absl::MutexLock lock(&mutex_);
      if (ending_) return;
      Tell();
      BeatLater();
    });
  }
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (stream_ == nullptr || ending_) return;
    if (writing_) {
      news_ = true;
      return;
    }
    pb::AgentState& state = stream_->outgoing;
    state.Clear();
    state.set_agent(name_);
    state.set_boot(boot_);
    state.set_sequence(++sequence_);
    pb::DeviceStatus& device = *state.add_devices();
    device.mutable_info()->set_name(name_);
    device.mutable_info()->set_target(shared_.options.target);
    device.mutable_info()->set_state(pb::READY);
    for (const std::string& label : shared_.options.labels) {
      device.mutable_info()->add_labels(label);
    }
    device.set_epoch(epoch_);
    for (const Held& held : held_) {
      pb::HeldAttempt& one = *device.add_held();
      one.set_attempt_id(held.attempt_id);
      one.set_batch_id(held.batch_id);
    }
    writing_ = true;
    news_ = false;
    stream_->StartWrite(&state);
  }

  // --- Reactions

  void Wrote(Stream* stream, bool ok) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (stream != stream_) return;
    writing_ = false;
    if (ok && news_) Tell();
    if (ok || !deaf_) return;  // who reads hears of the end there
    stream_ = nullptr;
    stream->LetGo();
  }
  void StreamBroke(const Stream* stream) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (stream == stream_) stream_ = nullptr;
  }
  void StreamEnded(Stream* stream) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (stream == stream_) stream_ = nullptr;
      if (!ending_) {
        const double wait = std::uniform_real_distribution<double>(1, 2)(random_);
        shared_.clockwork.After(kPause * wait, [this] {
          absl::MutexLock lock(&mutex_);
          OpenStream();
        });
      }
    }
    delete stream;
    shared_.Closed();
  }
  void TakeOrders(const Stream* stream, const pb::AgentOrders& orders) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (stream != stream_ || orders.devices_size() != 1) return;
    const pb::DeviceOrders& mine = orders.devices(0);
    bool changed = mine.epoch() != epoch_;
    if (changed) {
      if (epoch_ == 0) ++shared_.connected;
      if (mine.epoch() == 0) --shared_.connected;
      epoch_ = mine.epoch();
      held_.clear();
      asked_.clear();
      working_ = false;
      ++shift_;
    }
    if (shared_.observer.on_lease && epoch_ != 0) {
      shared_.observer.on_lease(Life(), name_, epoch_, mine.ttl_ms());
    }
    for (const pb::Grant& grant : mine.grants()) {
      const auto is_it = [&](const Held& held) { return held.attempt_id == grant.attempt_id(); };
      if (!grant.has_batch() || std::any_of(held_.begin(), held_.end(), is_it)) continue;
      held_.push_back(
          {.attempt_id = grant.attempt_id(), .batch_id = grant.batch_id(), .grant = grant});
      changed = true;
      ++shared_.granted;
      if (!asked_.empty()) {
        const double ms = absl::ToDoubleMilliseconds(absl::Now() - asked_.front());
        asked_.pop_front();
        absl::MutexLock also(&shared_.mutex);
        shared_.grant_ms.push_back(ms);
      }
    }
    // What is held, not measured yet, and granted no more is dropped.
    for (auto held = held_.begin(); held != held_.end();) {
      const bool named = held->reported || std::any_of(mine.grants().begin(), mine.grants().end(),
                                                       [&](const auto& g) {
                                                         return g.attempt_id() == held->attempt_id;
                                                       });
      changed |= !named;
      held = named ? held + 1 : held_.erase(held);
    }
    Work();
    if (changed) Tell();
  }

  // --- Work

  void Work() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (working_ || deaf_) return;
    const auto next =
        std::find_if(held_.begin(), held_.end(), [](const Held& held) { return !held.reported; });
    if (next == held_.end()) return;
    working_ = true;
    const double length =
        shared_.options.work_varies ? std::exponential_distribution<double>()(random_) : 1;
    shared_.clockwork.After(shared_.options.work * length,
                            [this, attempt = next->attempt_id, shift = shift_, boot = boot_] {
                              absl::MutexLock lock(&mutex_);
                              if (shift != shift_ || boot != boot_ || ending_) return;
                              working_ = false;
                              for (Held& held : held_) {
                                if (held.attempt_id != attempt) continue;
                                held.reported = true;
                                asked_.push_back(absl::Now());
                                Report(Measured(held.grant));
                                held.grant.Clear();
                              }
                              Work();
                            });
  }
  pb::ReportRequest Measured(const pb::Grant& grant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    pb::BatchResult result;
    AddProvenance(&result);
    for (int i = 0; i < grant.batch().candidates_size(); ++i) {
      pb::Measurement& measurement = *result.add_measurements();
      // Below whatever a real kernel takes.
      measurement.set_cost_ns(1 + static_cast<double>(random_() % 1000) / 1000);
      measurement.set_unix_ms(absl::ToUnixMillis(absl::Now()));
    }
    pb::ReportRequest report = MakeReport(name_, epoch_, grant, std::move(result));
    report.set_agent(name_);
    return report;
  }
  void Report(pb::ReportRequest request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ending_) return;
    auto* call = new Call;
    call->request = std::move(request);
    call->boot = boot_;
    call->context.set_deadline(absl::ToChronoTime(absl::Now() + kReportTimeout));
    calls_.push_back(call);
    shared_.Opened();
    stub_.async()->Report(&call->context, &call->request, &call->reply,
                          [this, call](const grpc::Status& status) { Reported(call, status); });
  }
  void Reported(Call* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      calls_.erase(std::find(calls_.begin(), calls_.end(), call));
      if (status.ok()) {
        ++shared_.settled;
        if (shared_.observer.on_settled) {
          shared_.observer.on_settled(absl::StrCat(name_, ":", call->boot), call->request,
                                      call->reply.outcome());
        }
        const auto held = std::find_if(held_.begin(), held_.end(), [&](const Held& one) {
          return one.attempt_id == call->request.attempt_id();
        });
        if (held != held_.end() && call->boot == boot_) {
          held_.erase(held);
          Tell();
        }
      } else if (!ending_ && call->boot == boot_) {
        shared_.clockwork.After(kPause, [this, request = call->request, boot = boot_] {
          absl::MutexLock lock(&mutex_);
          if (boot == boot_) Report(request);
        });
      }
    }
    delete call;
    shared_.Closed();
  }

  Shared& shared_;
  const std::string name_;
  const bool deaf_;
  pb::Agents::Stub& stub_;

  absl::Mutex mutex_;
  std::mt19937 random_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t boot_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t shift_ ABSL_GUARDED_BY(mutex_) = 0;  // rises with every epoch
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // that is open
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool news_ ABSL_GUARDED_BY(mutex_) = false;  // to be told after the write under way
  bool working_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
  std::deque<absl::Time> asked_ ABSL_GUARDED_BY(mutex_);  // reports whose grants did not come yet
  std::vector<Call*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

class AgentCrowd::Impl {
 public:
  Shared shared;
  std::vector<std::unique_ptr<CrowdAgent>> agents;
};

AgentCrowd::AgentCrowd(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<AgentCrowd>> AgentCrowd::Start(CrowdOptions options,
                                                        CrowdObserver observer) {
  auto impl = std::make_unique<Impl>();
  if (!options.tls_dirs.empty()) options.channels = options.agents;
  for (int i = 0; i < options.channels; ++i) {
    const std::string tls_dir =
        options.tls_dirs.empty() ? "" : options.tls_dirs.at(static_cast<size_t>(i));
    HONE_ASSIGN_OR_RETURN(const auto channel, MakeChannel(options.tracker, tls_dir));
    impl->shared.stubs.push_back(pb::Agents::NewStub(channel));
  }
  impl->shared.options = std::move(options);
  impl->shared.observer = std::move(observer);
  for (int i = 0; i < impl->shared.options.agents; ++i) {
    impl->agents.push_back(std::make_unique<CrowdAgent>(impl->shared, i));
  }
  for (const auto& agent : impl->agents) agent->Begin();
  return std::unique_ptr<AgentCrowd>(new AgentCrowd(std::move(impl)));
}

AgentCrowd::~AgentCrowd() {
  impl_->shared.clockwork.Stop();
  for (const auto& agent : impl_->agents) agent->End();
  const auto closed = [this]() ABSL_SHARED_LOCKS_REQUIRED(impl_->shared.mutex) {
    return impl_->shared.open == 0;
  };
  absl::MutexLock lock(&impl_->shared.mutex);
  impl_->shared.mutex.Await(absl::Condition(&closed));
}

CrowdCounts AgentCrowd::counts() const {
  const Shared& shared = impl_->shared;
  return {.connected = shared.connected,
          .granted = shared.granted,
          .settled = shared.settled,
          .streams = shared.streams};
}

std::vector<double> AgentCrowd::TakeGrantTimes() {
  absl::MutexLock lock(&impl_->shared.mutex);
  return std::exchange(impl_->shared.grant_ms, {});
}

void AgentCrowd::Reboot() {
  for (const auto& agent : impl_->agents) agent->Reboot();
}

}  // namespace hone
