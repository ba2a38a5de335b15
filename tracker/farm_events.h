// What happens to a farm (events) and what it wants done (effects): the whole traffic between
// FarmState, which thinks, and its shell, which has the clock, the sockets and the database. A
// simulator is a shell too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/farm.pb.h"
#include "proto/policy.pb.h"
#include "proto/record.pb.h"

namespace hone {

// --- Events: from clients

struct SubmitEvent {
  std::string client_id;
  std::string batch_id;
  std::shared_ptr<const pb::Batch> batch;  // passed CheckBatch
  // What the journal knows of the batch, when an earlier life of the tracker finished it.
  std::optional<pb::BatchResult> finished;
};
struct CancelEvent {
  std::string client_id;
  std::vector<std::string> batch_ids;
};
// The client is there, and has these results.
struct ClientSeenEvent {
  std::string client_id;
  std::vector<std::string> acknowledged;
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

// Time passes: at least once a second.
struct TickEvent {};
// How a PersistEpoch went.
struct EpochPersistedEvent {
  std::string device;
  uint64_t epoch = 0;
  Status status;
};
// How a CommitBatch went; AlreadyExists when an earlier report had been committed.
struct BatchCommittedEvent {
  uint64_t call = 0;
  pb::BatchResult result;
  Status status;
};

using FarmEvent = std::variant<SubmitEvent, CancelEvent, ClientSeenEvent, PolicyEvent,
                               AgentStateEvent, SessionEndedEvent, ReportEvent, TickEvent,
                               EpochPersistedEvent, BatchCommittedEvent>;

// --- Effects, to be carried out in order

// Write down the epoch; then EpochPersistedEvent.
struct PersistEpoch {
  std::string device;
  uint64_t epoch = 0;
};
// Write down the result and its records in one transaction; then BatchCommittedEvent.
struct CommitBatch {
  uint64_t call = 0;
  pb::BatchResult result;
  std::vector<pb::Record> records;
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
struct AnswerReport {
  uint64_t call = 0;
  Status status;  // an error makes the agent report again
  pb::ReportReply reply;
};
// The client has results to fetch.
struct NotifyClient {
  std::string client_id;
};

using FarmEffect =
    std::variant<PersistEpoch, CommitBatch, SendOrders, CloseSession, AnswerReport, NotifyClient>;

}  // namespace hone
