// FarmShell: gives FarmState a clock, a journal and the outside world: feeds it events one at a
// time under one mutex, carries out its effects in order, and parks clients that wait for results.
// The gRPC services call it; it knows no gRPC and decides nothing about devices and batches.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "db/farm_journal.h"
#include "proto/farm.pb.h"
#include "tracker/farm_events.h"
#include "tracker/farm_history.h"
#include "tracker/farm_state.h"

namespace hone {

// The tracker's end of an agent's stream. Called with the shell's mutex held: must return at once
// and not call back.
class AgentStream {
 public:
  virtual ~AgentStream() = default;
  // Sends these orders; they replace orders that were not sent yet.
  virtual void Send(pb::AgentOrders orders) = 0;
  virtual void Close(const Status& status) = 0;
};

class FarmShell {
 public:
  using ResultsDone = std::function<void(StatusOr<pb::ResultsReply>)>;

  // Reads the epochs and the policy from the journal. All must outlive the shell.
  static StatusOr<std::unique_ptr<FarmShell>> Start(const FarmLimits& limits, FarmJournal& journal,
                                                    const Clock& clock, const EventLog& log);

  // --- Farm
  StatusOr<pb::SubmitReply> Submit(const pb::SubmitRequest& request);
  // Calls `done` once: when there is a result, the wait is over, the journal can take no result
  // (ResourceExhausted when its disk is full), or the shell shuts down. `done` is called with the
  // mutex held: it must return at once and not call back.
  void Results(const pb::ResultsRequest& request, ResultsDone done);
  StatusOr<pb::CancelReply> Cancel(const pb::CancelRequest& request);
  pb::ListDevicesReply ListDevices();
  pb::FarmSnapshot Snapshot(const pb::SnapshotRequest& request);
  // OK while work is taken in and results are kept; else why not.
  Status Health();

  // --- Admin
  pb::FarmPolicy GetPolicy();
  // Aborted if `policy` was not made from the latest revision.
  StatusOr<pb::FarmPolicy> SetPolicy(pb::FarmPolicy policy);

  // --- Agents
  // The stream must stay until EndSession.
  uint64_t BeginSession(AgentStream* stream);
  void TakeState(uint64_t session, pb::AgentState state);
  void EndSession(uint64_t session);
  StatusOr<pb::ReportReply> Report(const pb::ReportRequest& request);

  // --- Time
  // Ten times a second: ends waits; lets FarmState know of the time once a second.
  void Tick();
  // Says goodbye to agents and ends all waits; nothing is taken in afterwards.
  void ShutDown();

 private:
  struct Waiter {
    std::string client_id;
    std::set<std::string> outstanding;
    int64_t deadline_ns = 0;
    ResultsDone done;
  };

  FarmShell(const FarmLimits& limits, const std::map<std::string, uint64_t>& epochs,
            FarmJournal& journal, const Clock& clock, const EventLog& log)
      : journal_(journal),
        clock_(clock),
        log_(log),
        state_(limits, epochs),
        history_(clock.UnixMillis(), log) {}

  void Feed(FarmEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Each carries out one effect and returns the event that comes of it, if any.
  std::optional<FarmEvent> Do(PersistEpoch effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<FarmEvent> Do(CommitBatch effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<FarmEvent> Do(SendOrders effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<FarmEvent> Do(const CloseSession& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<FarmEvent> Do(AnswerReport effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<FarmEvent> Do(const NotifyClient& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Remembers how a write to the journal went, for those who wait for what could not be written.
  void NoteWrite(const Status& status, int64_t began_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status HealthNow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Answers waiters that have results, wait in vain, or have waited long enough.
  void AnswerWaiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FarmJournal& journal_;
  const Clock& clock_;
  const EventLog& log_;

  absl::Mutex mutex_;
  FarmState state_ ABSL_GUARDED_BY(mutex_);
  FarmHistory history_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t next_tick_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_session_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_call_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, AgentStream*> sessions_ ABSL_GUARDED_BY(mutex_);
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  // Why the last write to the journal failed, for as long as clients are told.
  Status journal_trouble_ ABSL_GUARDED_BY(mutex_);
  int64_t journal_trouble_until_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the report that is handled.
  std::optional<AnswerReport> answer_ ABSL_GUARDED_BY(mutex_);
  FarmHistory::Outcome reported_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
