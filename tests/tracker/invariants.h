// What a farm has promised, held against a history of what happened on it: events, one a line, of a
// simulated farm or of real processes. FarmSimulator checks every event as it happens; a chaos test
// reads the lines that clients, agents and the tracker wrote. Knows nothing of how a farm works.
//
// The invariants (numbers as in the manual):
//   I1 a device has one lease at a time: an epoch of it is told to one life of one agent; no other
//      agent gets the device while a lease that its tracker made lasts
//   I2 epochs of a device only rise, also when the tracker is killed; none is told before it is
//   safe I3 what was acknowledged is there exactly once: reports, outcomes, batches that were taken
//   in I4 nothing that was measured under an epoch that passed counts I5 every batch comes to one
//   outcome, and stays there I6 nobody waits for ever: once faults end, all that was taken in is
//   finished I7 quotas and reservations hold, and a cancelled batch is not measured for its client
//   I8 the best record is the best of what counts (CheckStore)
// Not here: I9 (what sandboxed code leaves behind) and I10 (the audit trail): no event tells of
// them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "db/record_store.h"
#include "proto/policy.pb.h"

namespace hone {

struct HistoryEvent {
  enum class Kind {
    kInvoke,  // begun
    kOk,      // done
    kFail,    // not done, for certain
    kInfo,    // happened; or nobody can know whether it was done
  };
  enum class Act {
    kSubmit,   // a client: a batch is taken in. Fail: `outcome` is the status's code
    kCancel,   // a client: a batch is cancelled
    kFetch,    // a client: has the outcome of a batch
    kUnknown,  // a client: is told that its batch is not known
    kSilent,   // a client: was away for so long that it may be forgotten
    kBoot,     // an agent (`process`) is started: its earlier lives are over
    kReport,   // an agent: `outcome` is what it was answered
    kRestart,  // a tracker
    kEpoch,    // a tracker: the epoch is safe on disk
    kLease,    // a tracker tells an agent (`process`) that it has the device for `value` ns
    kGrant,    // a tracker gives a batch to a device: then `value` devices work for `user`
    kCommit,   // a tracker: the outcome of a batch is safe on disk
    kCalm,     // faults end here
  };
  Act act = Act::kSubmit;
  Kind kind = Kind::kInfo;
  int64_t time_ns = 0;       // all of one history on one clock
  std::string process = {};  // "client1", "tracker:3", "agent2:17" (the part behind ':' is a life)
  std::string batch = {};
  std::string device = {};
  uint64_t epoch = 0;
  std::string user = {};
  std::string outcome = {};  // "measured", "cancelled", an error; RECORDED, STALE, UNWANTED
  int64_t value = 0;

  // {"act":"submit","kind":"ok","t":5,...}: what is empty is left out.
  std::string ToLine() const;
  static StatusOr<HistoryEvent> FromLine(absl::string_view line);
};

class Invariants {
 public:
  // The policy that holds all the while.
  explicit Invariants(pb::FarmPolicy policy = {}) : policy_(std::move(policy)) {}

  // Events in the order of their times.
  void See(const HistoryEvent& event);
  // The history ends here: I5, I6.
  void CheckEnd();
  // Against what the journal says in the end: I3, I4, I8.
  void CheckStore(const RecordStore& store);

  // What was broken, in words: "I4 b7: ...".
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct BatchFacts {
    bool taken_in = false;       // its client was told so
    bool refused = false;        // for certain, and not taken in since
    int64_t asked_ns = -1;       // first
    bool cancelled = false;      // its client was told so
    std::string committed = {};  // its outcome on disk
    std::string fetched = {};
    std::string client = {};
  };
  struct DeviceFacts {
    bool was_there = false;                   // before the latest start of the tracker
    uint64_t epoch = 0;                       // safe on disk
    std::map<uint64_t, std::string> holders;  // by epoch
    std::string agent;                        // told last
    int64_t until_ns = 0;                     // as it was told
  };

  void SeeClient(const HistoryEvent& event);
  void SeeTracker(const HistoryEvent& event);
  void SeeLease(const HistoryEvent& event);
  void SeeGrant(const HistoryEvent& event);
  void SeeCommit(const HistoryEvent& event);
  void Violated(const HistoryEvent& event, absl::string_view which, absl::string_view how);

  const pb::FarmPolicy policy_;
  std::map<std::string, BatchFacts> batches_;
  std::map<std::string, DeviceFacts> devices_;
  std::map<std::string, std::string, std::less<>> lives_;  // agent -> its latest process
  std::set<std::string> silent_clients_;
  int64_t restarted_ns_ = -1;
  std::vector<std::string> violations_;
};

}  // namespace hone
