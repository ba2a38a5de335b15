// What happens to a farm (events) and what it wants done (effects): the whole traffic between
// FarmState, which thinks, and its shell, which has the clock, the sockets and the journal. A
// simulator is a shell too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "db/farm_journal.h"
#include "proto/batch.pb.h"
#include "proto/farm.pb.h"
#include "proto/policy.pb.h"

namespace hone {

// --- Events: from clients

struct SubmitEvent {
  uint64_t call = 0;  // the shell's number of the call, for the answer
  std::string client_id;
  std::string batch_id;
  std::shared_ptr<const pb::Batch> batch;  // passed CheckBatch
};
struct CancelEvent {
  uint64_t call = 0;
  std::string client_id;
  std::vector<std::string> batch_ids;
};
// The client is there, and has these results.
struct ClientSeenEvent {
  std::string client_id;
  std::vector<std::string> acknowledged;
};
// The client will not come back: what it asked for is wanted no more.
struct ClientGoneEvent {
  std::string client_id;
};

// --- Events: from those who own the farm

struct PolicyEvent {
  pb::FarmPolicy policy;  // passed CheckPolicy
  int64_t unix_ms = 0;    // now, on the clock of its reservations
};

// --- Events: from agents

struct AgentStateEvent {
  uint64_t session = 0;  // the shell's number of the stream; never used twice
  pb::AgentState state;
};
struct SessionEndedEvent {
  uint64_t session = 0;
};
struct ReportEvent {
  uint64_t call = 0;  // the shell's number of the call, for the answer
  pb::ReportRequest report;
};

// --- Events: from the shell itself

// What the journal has to be measured; once, before all others. Its epochs came before.
struct RestoreEvent {
  std::vector<JournaledBatch> batches;
};
// Code that batches name is gone (its file was damaged). They are forgotten, so that their clients
// submit them again, with the code.
struct CodeLostEvent {
  std::string digest;
};
// Time passes: at least once a second.
struct TickEvent {};
// How a WriteJournal went. They come in the order of the effects.
struct WrittenEvent {
  uint64_t call = 0;
  JournalEntry entry;
  JournalOutcome outcome;
};

using FarmEvent = std::variant<SubmitEvent, CancelEvent, ClientSeenEvent, ClientGoneEvent,
                               PolicyEvent, AgentStateEvent, SessionEndedEvent, ReportEvent,
                               RestoreEvent, CodeLostEvent, TickEvent, WrittenEvent>;

// --- Effects, to be carried out in order

// Write this down, after all that was to be written before; then WrittenEvent, with the same call.
struct WriteJournal {
  uint64_t call = 0;  // that waits for it; 0 for none
  JournalEntry entry;
};
// Replaces orders to the same session that were not sent yet.
struct SendOrders {
  uint64_t session = 0;
  pb::AgentOrders orders;
};
struct CloseSession {
  uint64_t session = 0;
  Status status;
};
struct AnswerSubmit {
  uint64_t call = 0;
  std::string batch_id;
  Status status;
};
// Once all that it names are finished, or with what kept that from being written down.
struct AnswerCancel {
  uint64_t call = 0;
  Status status;
};
struct AnswerReport {
  uint64_t call = 0;
  Status status;  // an error makes the agent report again
  pb::ReportReply reply;
};
// The client has results to fetch.
struct NotifyClient {
  std::string client_id;
};

using FarmEffect = std::variant<WriteJournal, SendOrders, CloseSession, AnswerSubmit, AnswerCancel,
                                AnswerReport, NotifyClient>;

}  // namespace hone
