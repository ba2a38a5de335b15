// FarmShell: gives FarmState a clock, a journal and the outside world: feeds it events one at a
// time under one mutex, carries out its effects in order, and parks callers until what they wait
// for is written down or there. The gRPC services call it; it knows no gRPC and decides nothing
// about devices and batches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/blob_store.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "db/farm_journal.h"
#include "proto/farm.pb.h"
#include "tracker/farm_events.h"
#include "tracker/farm_history.h"
#include "tracker/farm_state.h"
#include "tracker/journal_writer.h"

namespace hone {

// The tracker's end of an agent's stream. But for Flush it is called with the shell's mutex held:
// must return at once and not call back.
class AgentStream {
 public:
  virtual ~AgentStream() = default;
  // These orders are to be sent; they replace orders that were not sent yet.
  virtual void Send(pb::AgentOrders orders) = 0;
  // Sends what is to be sent, if anything is. Without the mutex: writing to a network takes longer
  // than thinking. May come after the session's end.
  virtual void Flush() = 0;
  virtual void Close(const Status& status) = 0;
};

class FarmShell {
 public:
  // Called once, maybe with the shell's mutex held: must return at once and not call back.
  template <typename Reply>
  using Done = std::function<void(StatusOr<Reply>)>;

  // Reads what an earlier life left in the journal. All must outlive the shell.
  static StatusOr<std::unique_ptr<FarmShell>> Start(const FarmLimits& limits, FarmJournal& journal,
                                                    BlobStore& blobs, const Clock& clock,
                                                    const EventLog& log);

  // --- Farm
  // OK once the batch is safe on disk. `user` is whose it is, whatever the batch says. What it
  // names is kept while it waits or runs; FailedPrecondition if that is not all there.
  void Submit(const pb::SubmitRequest& request, const std::string& user,
              Done<pb::SubmitReply> done);
  // Done when there is a result, the wait is over, the journal can take no result
  // (ResourceExhausted when its disk is full), or the shell shuts down. Returns the wait's number.
  uint64_t Results(const pb::ResultsRequest& request, Done<pb::ResultsReply> done);
  // Who waits there hung up: done now (Cancelled), if it was not yet.
  void EndWait(const std::string& client_id, uint64_t wait);
  // OK once it is safe on disk that the batches are cancelled.
  void Cancel(const pb::CancelRequest& request, Done<pb::CancelReply> done);
  pb::ListDevicesReply ListDevices();
  pb::WhyReply Why(const pb::WhyRequest& request);
  pb::FarmSnapshot Snapshot(const pb::SnapshotRequest& request);
  // OK while work is taken in and results are kept; else why not.
  Status Health();
  // The client will not come back.
  void DropClient(const std::string& client_id);
  // Why all that the client has waits, in one line; "" if it does not.
  std::string WhyClientWaits(const std::string& client_id);

  // --- Admin
  pb::FarmPolicy GetPolicy();
  // Aborted if `policy` was not made from the latest revision.
  StatusOr<pb::FarmPolicy> SetPolicy(pb::FarmPolicy policy);

  // --- Agents
  uint64_t BeginSession(std::shared_ptr<AgentStream> stream);
  void TakeState(uint64_t session, pb::AgentState state);
  void EndSession(uint64_t session);
  // Done once it is settled what becomes of the report, and that is safe on disk. The blobs that
  // the result of a model names are kept until its client has it; a result without them is an
  // error.
  void Report(const pb::ReportRequest& request, Done<pb::ReportReply> done);

  // --- Blobs
  // An agent asked for code that is not there: whoever submitted it is asked again.
  void NoteMissingCode(const std::string& digest);
  // Blobs came or went.
  void NoteBlobs(const FarmHistory::BlobTraffic& traffic);

  // --- Time
  // Ten times a second: ends waits; lets FarmState know of the time once a second.
  void Tick();
  // Says goodbye to agents and ends all waits; nothing is taken in afterwards.
  void ShutDown();

 private:
  // Holds the mutex while FarmState is fed, and afterwards has what it said written and answered.
  // Orders of two turns come in the right order all the same: a stream has the latest alone.
  class ABSL_SCOPED_LOCKABLE Turn {
   public:
    explicit Turn(FarmShell& shell) ABSL_EXCLUSIVE_LOCK_FUNCTION(shell.mutex_);
    ~Turn() ABSL_UNLOCK_FUNCTION();

   private:
    FarmShell& shell_;
  };
  struct Reporting {
    std::string batch_id;
    FarmHistory::Outcome outcome;
    Done<pb::ReportReply> done;
  };
  struct Waiter {
    uint64_t number = 0;
    int64_t deadline_ns = 0;
    Done<pb::ResultsReply> done;
  };

  FarmShell(const FarmLimits& limits, const std::map<std::string, uint64_t>& epochs,
            FarmJournal& journal, BlobStore& blobs, const Clock& clock, const EventLog& log)
      : journal_(journal),
        blobs_(blobs),
        clock_(clock),
        log_(log),
        state_(limits, epochs),
        history_(clock.UnixMillis(), log),
        writer_(
            journal, clock,
            [this](std::vector<WrittenEvent> events, int64_t took_ns) {
              Written(std::move(events), took_ns);
            },
            [this](const Status& status) { Probed(status); }) {}

  void Feed(FarmEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Each carries out one effect.
  void Do(WriteJournal effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(SendOrders effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(const CloseSession& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(AnswerSubmit effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(AnswerCancel effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(AnswerReport effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(const NotifyClient& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Once the mutex is free.
  template <typename Reply>
  void Answer(Done<Reply> done, Status status, Reply reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // From the writer's thread.
  void Written(std::vector<WrittenEvent> events, int64_t took_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void Probed(const Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Remembers how a write to the journal went, for those who wait for what could not be written.
  void NoteWrite(const WrittenEvent& event, int64_t took_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteHealth(const Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status HealthNow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why clients would wait in vain for what the journal cannot take; OK if it can.
  Status JournalTrouble() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the client has to fetch, and what of `outstanding` is not known here.
  StatusOr<pb::ResultsReply> ResultsNow(
      const std::string& client_id,
      const google::protobuf::RepeatedPtrField<std::string>& outstanding) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // FailedPrecondition if the store has not all that the batch names.
  Status CheckCode(const pb::Batch& batch);
  Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Keeps what the result of a model names, or makes it an error.
  void HoldOutputs(pb::BatchResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FarmJournal& journal_;
  BlobStore& blobs_;
  const Clock& clock_;
  const EventLog& log_;

  absl::Mutex mutex_;
  FarmState state_ ABSL_GUARDED_BY(mutex_);
  FarmHistory history_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t next_tick_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_session_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_call_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::shared_ptr<AgentStream>> sessions_ ABSL_GUARDED_BY(mutex_);
  // What a turn leaves to be done when the mutex is free again.
  std::vector<std::shared_ptr<AgentStream>> to_flush_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> answers_ ABSL_GUARDED_BY(mutex_);
  // Callers that are not answered yet.
  std::multimap<std::string, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);  // by client
  std::map<uint64_t, Done<pb::SubmitReply>> submits_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Done<pb::CancelReply>> cancels_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Reporting> reports_ ABSL_GUARDED_BY(mutex_);
  // What models gave, by batch, until their clients have it.
  std::map<std::string, BlobStore::Pin> outputs_ ABSL_GUARDED_BY(mutex_);
  // Why the last write to the journal failed, for as long as clients are told.
  Status journal_trouble_ ABSL_GUARDED_BY(mutex_);
  int64_t journal_trouble_until_ns_ ABSL_GUARDED_BY(mutex_) = 0;

  JournalWriter writer_;  // last: it calls back until it is gone
};

}  // namespace hone
