// What happens to tuning jobs (events) and what they want done (effects): the whole traffic between
// JobState, which thinks, and JobShell, which has the clock, the database and the callers.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

// --- Events: calls. `call` is the shell's number, for the answer.

struct SubmitJobEvent {
  uint64_t call = 0;
  pb::SubmitJobRequest request;  // passed CheckJob
};
struct CancelJobEvent {
  uint64_t call = 0;
  int64_t id = 0;
};
struct ClaimJobEvent {
  uint64_t call = 0;
  pb::ClaimJobRequest request;
};
struct KeepJobEvent {
  uint64_t call = 0;
  pb::KeepJobRequest request;
};
struct EndJobEvent {
  uint64_t call = 0;
  pb::EndJobRequest request;
};

// --- Events: from the shell itself

// Time passes: at least once a second.
struct JobTickEvent {};
// How a SaveJob went.
struct JobSavedEvent {
  int64_t id = 0;
  Status status;
};

using JobEvent = std::variant<SubmitJobEvent, CancelJobEvent, ClaimJobEvent, KeepJobEvent,
                              EndJobEvent, JobTickEvent, JobSavedEvent>;

// --- Effects, to be carried out in order

using JobReply = std::variant<pb::Job, pb::ClaimJobReply, pb::KeepJobReply, pb::EndJobReply>;

// Write it down; then JobSavedEvent.
struct SaveJob {
  pb::Job job;
};
struct AnswerJobCall {
  uint64_t call = 0;
  StatusOr<JobReply> reply;
};
// Those who watch it are to see it.
struct JobChanged {
  int64_t id = 0;
};
// An attempt has ended without its worker: what it asked of devices is wanted no more.
struct DropFarmClient {
  std::string farm_client;
};
// No job needs it any more.
struct DropModel {
  std::string digest;
};

using JobEffect = std::variant<SaveJob, AnswerJobCall, JobChanged, DropFarmClient, DropModel>;

}  // namespace hone
