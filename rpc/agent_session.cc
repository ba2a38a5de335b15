// Three threads. The stream thread opens the stream, reads orders from it until it breaks, waits
// and opens the next. The writer thread sends the latest state over whatever stream is open, when
// it changed and with every heartbeat. The report thread carries one report after another by unary
// calls. gRPC allows one reader and one writer on a stream, and TryCancel from anywhere; that ends
// every wait when the session is destroyed.
//
// Stream and reports go to one tracker at a time, the link. Whichever thread finds that it does not
// answer, or does not lead, moves the link on (GiveUpOn), for both.
#include "rpc/agent_session.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/backoff.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "rpc/protocol.h"
#include "rpc/tracker_list.h"

namespace hone {
namespace {

constexpr absl::Duration kReportTimeout = absl::Seconds(30);
constexpr absl::Duration kReportTimeoutOfSeveral = absl::Seconds(5);  // then another is tried
constexpr double kHeartbeatJitter = 0.2;
constexpr absl::Duration kWaitSlice = absl::Milliseconds(200);
// After so long without a tracker the agent is told, and another is tried if there is one.
constexpr absl::Duration kSilenceMax = absl::Seconds(2);

// Trying again would end the same way.
bool IsFinal(const Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsUnimplemented(status);
}

}  // namespace

class AgentSession::Impl {
 public:
  Impl(AgentSessionOptions options, AgentSessionHandlers handlers)
      : options_(std::move(options)), handlers_(std::move(handlers)), trackers_(options_.trackers) {
    link_ = MakeLink(trackers_.current()).value_or(nullptr);
    HONE_CHECK(link_ != nullptr) << "an unchecked address";
    stream_thread_ = std::thread([this] { KeepStream(); });
    writer_thread_ = std::thread([this] { WriteStates(); });
    report_thread_ = std::thread([this] { SendReports(); });
  }

  ~Impl() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      if (stream_context_ != nullptr) stream_context_->TryCancel();
      if (report_context_ != nullptr) report_context_->TryCancel();
    }
    stream_thread_.join();
    writer_thread_.join();
    report_thread_.join();
  }

  void SetState(pb::AgentState state) {
    state.set_agent(options_.agent);
    state.set_boot(options_.boot);
    absl::MutexLock lock(&mutex_);
    state_ = std::move(state);
    state_is_new_ = true;
  }

  void Report(pb::ReportRequest report) {
    report.set_agent(options_.agent);
    absl::MutexLock lock(&mutex_);
    std::string id = report.attempt_id();
    if (!state_) reports_of_earlier_life_.insert(id);
    reports_.try_emplace(std::move(id), std::move(report));
  }

  bool HandBack(absl::Duration timeout) {
    SetState({});
    const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return stream_ == nullptr || handed_back_;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&over), timeout);
    return handed_back_;
  }

  std::shared_ptr<grpc::Channel> channel() { return CurrentLink()->channel; }

  bool WaitForReports(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    const auto empty = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return reports_.empty(); };
    return mutex_.AwaitWithTimeout(absl::Condition(&empty), timeout);
  }

 private:
  using Stream = grpc::ClientReaderWriter<pb::AgentState, pb::AgentOrders>;

  struct Link {
    std::string tracker;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<pb::Agents::Stub> stub;
  };

  StatusOr<std::shared_ptr<const Link>> MakeLink(const std::string& tracker) const {
    HONE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                          MakeChannel(tracker, options_.tls_dir));
    return std::make_shared<const Link>(Link{tracker, channel, pb::Agents::NewStub(channel)});
  }

  std::shared_ptr<const Link> CurrentLink() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return link_;
  }

  // Moves on to another tracker, if there is one and no other thread has done so.
  void GiveUpOn(const std::shared_ptr<const Link>& link, const Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (link_ != link) return;
    trackers_.Failed(status);
    if (trackers_.current() == link->tracker) return;
    auto next = MakeLink(trackers_.current());
    if (!next.ok()) {
      // What was named as the leader is no address.
      trackers_.Failed(next.status());
      next = MakeLink(trackers_.current());
    }
    if (!next.ok()) return;
    link_ = *std::move(next);
    if (report_context_ != nullptr) report_context_->TryCancel();
  }

  void KeepStream() {
    Backoff backoff(options_.reconnect_backoff_min, options_.reconnect_backoff_max);
    absl::BitGen random;
    {
      // The first state of a new life takes a new lease, after which those reports are stale.
      const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return stopping_ || (state_ && reports_of_earlier_life_.empty());
      };
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&ready));
    }
    while (const std::shared_ptr<const Link> link = AwaitConnection()) {
      bool heard = false;
      const Status status = RunStream(*link, &heard);
      if (IsStopping()) return;
      if (absl::IsAborted(status)) {
        Handle([&] {
          if (handlers_.on_refused) handlers_.on_refused(status);
        });
        return;
      }
      Handle([&] {
        if (handlers_.on_link) handlers_.on_link(link->tracker, status);
      });
      GiveUpOn(link, status);
      if (heard) backoff.Reset();
      const absl::Duration wait = backoff.Next(absl::Uniform(random, 0.0, 1.0));
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), wait)) return;
    }
  }

  // Waits until a tracker is connected to, whose channel has its own backoff; null when the session
  // ends. gRPC's blocking interface makes progress only while somebody waits in it, so sleeping
  // instead would not do.
  std::shared_ptr<const Link> AwaitConnection() {
    std::shared_ptr<const Link> link = CurrentLink();
    absl::Time patience = absl::Now() + kSilenceMax;
    std::set<std::string> silent;
    while (!link->channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kWaitSlice))) {
      if (IsStopping()) return nullptr;
      if (absl::Now() >= patience) {
        patience = absl::Now() + kSilenceMax;
        const Status status = absl::UnavailableError("no tracker answers there; waiting for one");
        if (silent.insert(link->tracker).second) {
          Handle([&] {
            if (handlers_.on_link) handlers_.on_link(link->tracker, status);
          });
        }
        GiveUpOn(link, status);
      }
      link = CurrentLink();
    }
    return IsStopping() ? nullptr : link;
  }

  // Opens one stream and reads it to its end; the status says why it ended.
  Status RunStream(const Link& link, bool* heard) {
    grpc::ClientContext context;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return absl::CancelledError("the session ends");
      stream_context_ = &context;
    }
    const std::unique_ptr<Stream> stream = link.stub->Session(&context);
    {
      absl::MutexLock lock(&mutex_);
      stream_ = stream.get();
      state_is_new_ = true;
      sequence_ = 0;
      sequence_without_devices_ = 0;
    }
    pb::AgentOrders orders;
    while (stream->Read(&orders)) {
      if (!*heard)
        Handle([&] {
          if (handlers_.on_link) handlers_.on_link(link.tracker, absl::OkStatus());
        });
      *heard = true;
      if (orders.restarting()) break;
      NoteAcknowledged(orders.acked_sequence());
      Handle([&] {
        if (handlers_.on_orders) handlers_.on_orders(std::move(orders));
      });
      orders.Clear();
    }
    const bool restarting = orders.restarting();
    if (restarting) context.TryCancel();
    {
      absl::MutexLock lock(&mutex_);
      stream_ = nullptr;
      // A write that hangs ends with the stream.
      mutex_.Await(absl::Condition(+[](bool* writing) { return !*writing; }, &writing_));
      stream_context_ = nullptr;
    }
    const Status status = FromGrpc(stream->Finish());
    if (restarting) return absl::UnavailableError("the tracker is started anew");
    return status.ok() ? absl::UnavailableError("the tracker ended the stream") : status;
  }

  void NoteAcknowledged(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    handed_back_ |= sequence_without_devices_ != 0 && sequence >= sequence_without_devices_;
  }

  void WriteStates() {
    absl::BitGen random;
    while (true) {
      const absl::Duration heartbeat =
          options_.heartbeat * (1 + absl::Uniform(random, -kHeartbeatJitter, kHeartbeatJitter));
      pb::AgentState state;
      Stream* stream = nullptr;
      {
        absl::MutexLock lock(&mutex_);
        const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
          return stopping_ || (stream_ != nullptr && state_is_new_);
        };
        mutex_.AwaitWithTimeout(absl::Condition(&due), heartbeat);
        if (stopping_) return;
        if (stream_ == nullptr || !state_) continue;
        state_is_new_ = false;
        state = *state_;
        state.set_sequence(++sequence_);
        *state.mutable_protocol() = ThisProtocol();
        if (state.devices().empty()) sequence_without_devices_ = sequence_;
        stream = stream_;
        writing_ = true;
      }
      // If it fails the stream is broken, which the stream thread notices by itself.
      const bool written = stream->Write(state);
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      if (!written && stream_ == stream) stream_ = nullptr;
    }
  }

  void SendReports() {
    Backoff backoff(options_.reconnect_backoff_min, options_.reconnect_backoff_max);
    absl::BitGen random;
    while (true) {
      pb::ReportRequest report;
      std::shared_ptr<const Link> link;
      grpc::ClientContext context;
      {
        absl::MutexLock lock(&mutex_);
        const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
          return stopping_ || !reports_.empty();
        };
        mutex_.Await(absl::Condition(&due));
        if (stopping_) return;
        report = reports_.begin()->second;
        link = link_;
        report_context_ = &context;
      }
      context.set_deadline(absl::ToChronoTime(
          absl::Now() + (options_.trackers.size() > 1 ? kReportTimeoutOfSeveral : kReportTimeout)));
      context.set_wait_for_ready(true);
      pb::ReportReply reply;
      const Status status = FromGrpc(link->stub->Report(&context, report, &reply));
      const bool settled = status.ok() || IsFinal(status);
      if (IsFinal(status)) {
        reply.set_outcome(pb::UNWANTED);
        reply.set_message(std::string(status.message()));
      }
      {
        absl::MutexLock lock(&mutex_);
        report_context_ = nullptr;
        if (stopping_) return;
      }
      if (!settled) {
        // While there is no stream nobody else would find out.
        GiveUpOn(link, status);
        const absl::Duration wait = backoff.Next(absl::Uniform(random, 0.0, 1.0));
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), wait)) return;
        continue;
      }
      backoff.Reset();
      Handle([&] {
        if (handlers_.on_settled) handlers_.on_settled(report.attempt_id(), reply);
      });
      absl::MutexLock lock(&mutex_);
      reports_.erase(report.attempt_id());
      reports_of_earlier_life_.erase(report.attempt_id());
    }
  }

  template <typename Call>
  void Handle(Call call) ABSL_LOCKS_EXCLUDED(handler_mutex_, mutex_) {
    if (IsStopping()) return;
    absl::MutexLock lock(&handler_mutex_);
    call();
  }

  bool IsStopping() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  const AgentSessionOptions options_;
  const AgentSessionHandlers handlers_;

  absl::Mutex handler_mutex_;  // held while a handler runs; before mutex_

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  TrackerList trackers_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Link> link_ ABSL_GUARDED_BY(mutex_);  // to the current one
  std::optional<pb::AgentState> state_ ABSL_GUARDED_BY(mutex_);
  bool state_is_new_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sequence_without_devices_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: none on this stream
  bool handed_back_ ABSL_GUARDED_BY(mutex_) = false;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // to write to; null when none is open
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* stream_context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  grpc::ClientContext* report_context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::map<std::string, pb::ReportRequest> reports_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> reports_of_earlier_life_ ABSL_GUARDED_BY(mutex_);

  std::thread stream_thread_;
  std::thread writer_thread_;
  std::thread report_thread_;
};

AgentSession::AgentSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AgentSession::~AgentSession() = default;

StatusOr<std::unique_ptr<AgentSession>> AgentSession::Start(AgentSessionOptions options,
                                                            AgentSessionHandlers handlers) {
  if (options.agent.empty()) return absl::InvalidArgumentError("an agent needs a name");
  if (options.boot == 0) return absl::InvalidArgumentError("an agent needs a boot number above 0");
  if (options.trackers.empty()) return absl::InvalidArgumentError("an agent needs a tracker");
  for (const std::string& tracker : options.trackers) {
    HONE_RETURN_IF_ERROR(MakeChannel(tracker, options.tls_dir).status());
  }
  return std::unique_ptr<AgentSession>(
      new AgentSession(std::make_unique<Impl>(std::move(options), std::move(handlers))));
}

void AgentSession::SetState(pb::AgentState state) { impl_->SetState(std::move(state)); }

void AgentSession::Report(pb::ReportRequest report) { impl_->Report(std::move(report)); }

std::shared_ptr<grpc::Channel> AgentSession::channel() const { return impl_->channel(); }

bool AgentSession::HandBack(absl::Duration timeout) { return impl_->HandBack(timeout); }

bool AgentSession::WaitForReports(absl::Duration timeout) { return impl_->WaitForReports(timeout); }

pb::ReportRequest MakeReport(absl::string_view device, uint64_t epoch, const pb::Grant& grant,
                             pb::BatchResult result) {
  pb::ReportRequest report;
  report.set_device(std::string(device));
  report.set_epoch(epoch);
  report.set_attempt_id(grant.attempt_id());
  report.set_batch_id(grant.batch_id());
  result.set_batch_id(grant.batch_id());
  *report.mutable_result() = std::move(result);
  pb::Batch& batch = *report.mutable_batch();
  batch = grant.batch();
  for (pb::Candidate& candidate : *batch.mutable_candidates()) {
    candidate.mutable_artifact()->clear_code();
  }
  if (batch.has_reference()) batch.mutable_reference()->mutable_artifact()->clear_code();
  return report;
}

}  // namespace hone
