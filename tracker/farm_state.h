// FarmState: the tracker's mind. Which batches wait, which device is leased to which agent, who
// measures what, which results count. A pure, deterministic state machine: events in, effects out;
// the same events in the same order give the same effects. It has no clock, thread, socket or file:
// FarmShell gives it those, a seeded simulator takes their place in tests.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/device.pb.h"
#include "tracker/batch_queue.h"
#include "tracker/farm_events.h"
#include "tracker/matchmaking.h"
#include "tracker/policy.h"

namespace hone {

struct FarmLimits {
  int64_t lease_ttl_ns = int64_t{30} * 1'000'000'000;
  // A device is shown as lost after this silence; its lease may still be renewed.
  int64_t silence_ns = int64_t{15} * 1'000'000'000;
  // Granted to a device at a time: one runs, the others are there already. As many more may be
  // reported, and not written down yet.
  int batches_ahead = 2;
  int unquiet_max = 5;  // a batch whose devices were not quiet more often is given up
  int losses_max = 3;   // a batch whose device is lost more often is given up
  // A batch that no device of the farm could run is given up after this wait.
  int64_t unmatched_ns = int64_t{60} * 1'000'000'000;
  // The batches of a client that is silent for so long are dropped.
  int64_t client_ttl_ns = int64_t{600} * 1'000'000'000;
  int batches_max = 100'000;  // known at a time
  // So long after a start nobody is told that no device could run their batch: devices come back
  // one by one.
  int64_t recovering_ns = int64_t{60} * 1'000'000'000;
  // Of the batches in one message to an agent, if it is more than one.
  int64_t orders_bytes_max = 512 << 10;
  // What an attempt is taken to last, as long as none has ended.
  int64_t typical_ns = int64_t{1} * 1'000'000'000;
};

class FarmState {
 public:
  // `epochs`: of the latest lease of every device ever leased, from the journal; its batches come
  // with a RestoreEvent.
  FarmState(FarmLimits limits, const std::map<std::string, uint64_t>& epochs);

  // `now_ns`: monotonic.
  std::vector<FarmEffect> Step(FarmEvent event, int64_t now_ns);

  // Questions; none changes anything.
  bool KnowsBatch(absl::string_view batch_id) const;
  // Not all devices that were ever leased have come back since the start, and they may yet.
  bool IsRecovering() const;
  // Whether the batch, which passed CheckBatch and is not known yet, can be taken in.
  // ResourceExhausted when the farm or its user has too many; FailedPrecondition when none of the
  // devices ever seen could run it, with the reason that is nearest to hand.
  Status CheckSubmittable(const pb::Batch& batch) const;
  // Why a batch that waits does, in one line: no device that could run it, with the clause that
  // most lack; devices that are lost, reserved, drained or in trouble; a quota; or how many go
  // before it, and whose turn it is. "" if it does not wait.
  std::string WhyWaiting(absl::string_view batch_id) const;
  // The same of the client's batch that is before its others, when all that it has wait.
  std::string WhyClientWaits(absl::string_view client_id) const;
  // Finished and not acknowledged, in the order they were submitted: as many as `bytes_max` holds,
  // but one if there is any.
  std::vector<pb::BatchResult> ResultsOf(
      absl::string_view client_id, int64_t bytes_max = std::numeric_limits<int64_t>::max()) const;
  std::vector<pb::DeviceInfo> Devices(int64_t now_ns) const;
  const pb::FarmPolicy& policy() const { return policy_.text(); }
  int64_t queued_batches() const { return queue_.size(); }
  int64_t running_batches() const;

 private:
  friend class FarmView;  // shows it

  // From being taken in until its client has the result: being saved (in the journal), then waiting
  // or granted, then ending (its outcome is being saved), then finished.
  struct Batch {
    std::string client_id;
    std::shared_ptr<const pb::Batch> batch;  // until it is finished
    WaitingBatch waiting;                    // its place in the queue, also while it does not wait
    int losses = 0;
    int unquiet = 0;  // attempts that ended because the device was not quiet
    bool saved = false;
    std::vector<uint64_t> submits;  // calls that are answered when it is saved
    std::vector<uint64_t> cancels;  // calls that wait for its end
    std::string device;             // that it is granted to; "" when it waits or is finished
    // When ending without measurements, and when finished.
    std::optional<pb::BatchResult> result;
    bool finished = false;
  };
  struct Attempt {
    std::string attempt_id;
    std::string batch_id;
    std::string user;
    bool held = false;        // by the agent, as it says itself
    bool reported = false;    // its outcome is being written down: the device goes on meanwhile
    bool charged = false;     // its user, what it took
    int64_t foreseen_ns = 0;  // charged to the user when it was granted
  };
  // A device known by name. Leased while `agent` is set: to that agent, in that life of it.
  struct Device {
    uint64_t epoch = 0;         // of its latest lease, or of one that may be on the disk
    uint64_t epoch_asked = 0;   // being written down, to be of a lease of `agent`; 0 when none is
    bool epoch_failed = false;  // to be written: nobody can hold a lease of `epoch`
    std::string agent;
    uint64_t boot = 0;
    int64_t expires_ns = 0;
    std::vector<Attempt> attempts;  // in the order they run
    int64_t busy_since_ns = 0;      // since then the first attempt is at it
    // Of what it measured: does not count. And up to when that is written down.
    std::vector<pb::Taint> taints;
    int64_t tainted_until_unix_ms = 0;
    pb::DeviceInfo info;
    std::optional<DeviceView> view;  // none when its target cannot be read
    int64_t seen_ns = 0;
    bool handed_back = false;  // by its agent, and not seen since
    bool seen = false;         // since the tracker was started
  };
  struct Agent {
    uint64_t boot = 0;
    uint64_t session = 0;  // 0 when there is none
    uint64_t sequence = 0;
    std::set<std::string> devices;  // in its latest state
  };
  struct Client {
    int64_t seen_ns = 0;
    std::set<std::string> batch_ids;
    std::map<uint64_t, std::string> finished;  // of those, in the order they were submitted
  };

  void On(SubmitEvent event);
  void On(const CancelEvent& event);
  void On(const ClientSeenEvent& event);
  void On(const ClientGoneEvent& event);
  void On(const PolicyEvent& event);
  void On(const AgentStateEvent& event);
  void On(SessionEndedEvent event);
  void On(ReportEvent event);
  void On(const RestoreEvent& event);
  void On(const CodeLostEvent& event);
  void On(TickEvent event);
  void On(WrittenEvent event);
  void OnWritten(const EpochEntry& entry, WrittenEvent& event);
  void OnWritten(const BatchEntry& entry, WrittenEvent& event);
  void OnWritten(const OutcomeEntry& entry, WrittenEvent& event);
  void OnWritten(const GrantEntry& entry, WrittenEvent& event) {}
  void OnWritten(const ForgetEntry& entry, WrittenEvent& event) {}
  void OnWritten(const TaintEntry& entry, WrittenEvent& event);

  // False if the state comes from an agent, or a stream of it, that was replaced.
  bool Admit(uint64_t session, const pb::AgentState& state);
  void TakeDeviceStatus(const std::string& agent_name, const Agent& agent,
                        const pb::DeviceStatus& status);
  // `resumed`: the lease was not alive here, so what is held may have been granted anew elsewhere.
  void TakeHeld(const std::string& name, Device& device, const pb::DeviceStatus& status,
                bool resumed);
  void TakeHeld(const std::string& name, Device& device, const std::string& batch_id, bool resumed);
  void LeaseTo(Device& device, const std::string& agent, uint64_t boot);
  // A device in quarantine measures nothing: what it has goes to others.
  void TakeBack(Device& device);
  // Has what its agent says not to count marked in the journal, once.
  void TakeTaints(const std::string& name, Device& device, const pb::DeviceStatus& status);
  // The agent has the device no more, and says so: its batches wait again.
  void HandBack(const std::string& agent, const std::string& name);
  // What the device had is lost: its batches wait again, or are given up.
  void EndLease(const std::string& name, Device& device, absl::string_view why);

  Batch& Take(const std::string& client_id, const std::string& batch_id,
              std::shared_ptr<const pb::Batch> batch);
  void Queue(const Batch& batch);
  // `device`: granted to it by an earlier life of the tracker, which noted it.
  void Grant(const std::string& name, Device& device, const std::string& batch_id, bool held);
  void Write(JournalEntry entry, uint64_t call = 0);
  // The device was not quiet: tries the batch again, on another one if there is one. False if it
  // was tried often enough.
  bool TryElsewhere(Batch& batch);
  // While that other device is there; else on any.
  void CheckRetries();
  bool AnyDeviceTakes(const Demand& demand) const;
  // Ends it with an error, which is written down first.
  void End(const std::string& batch_id, absl::string_view error);
  // How it ended is written down.
  void Finish(const std::string& batch_id, pb::BatchResult result);
  void DropAttempt(const std::string& name, absl::string_view batch_id);
  // Whether its agent reported the attempt, and waits until that is written down.
  void SetReported(const std::string& device, const std::string& batch_id, bool reported);
  // The device is done with the attempt: its user is charged what it took, once.
  void Charge(Device& device, Attempt& attempt);
  // The attempt is over, whatever came of it.
  void Settle(const std::string& name, Device& device, std::vector<Attempt>::iterator attempt);
  // Takes it off its device or out of the queue.
  void TakeOff(Batch& batch);
  void DropClient(const std::string& client_id);
  // As if it had never been submitted.
  void Drop(const std::string& batch_id, absl::string_view why);
  void Forget(const std::string& batch_id);
  void AnswerSubmits(Batch& batch, const Status& status);
  void AnswerCancels(Batch& batch, const Status& status);
  void Answer(uint64_t call, pb::ReportOutcome outcome, absl::string_view message = "");

  // Gives work to devices that may have got room or leave for it in this step.
  void FillDevices();
  void FillDevice(const std::string& name);
  bool HasRoom(const Device& device) const;

  Client& Seen(const std::string& client_id);
  std::shared_ptr<const Demand> DemandOf(const pb::Batch& batch) const;
  // Device time as the user's share of it counts.
  double VirtualNanos(const std::string& user, int64_t device_ns) const;
  bool MayGrant(const std::string& user, const std::string& device) const;
  // Whether the device may work for the user without exceeding the quota of devices.
  bool IsWithinQuota(const std::string& user, const Device& device) const;
  static bool WorksFor(const Device& device, absl::string_view user, absl::string_view but = "");
  void MarkAgent(const std::string& agent) { agents_to_tell_.insert(agent); }
  // READY, BUSY, LOST, ... as it is now, and why.
  std::pair<pb::DeviceState, std::string> StateOf(const std::string& name, const Device& device,
                                                  int64_t now_ns) const;
  pb::AgentOrders OrdersFor(const std::string& name, const Agent& agent) const;
  // Of the devices ever seen.
  bool AnyDeviceCanRun(const Demand& demand) const;
  // What keeps the batch from all of them; "" if one could run it, or none was seen.
  std::string WhyNowhere(const Demand& demand) const;

  FarmLimits limits_;
  int64_t now_ns_ = 0;  // of the event that is handled
  int64_t recovering_until_ns_ = 0;
  std::set<std::string> retried_;  // batches whose demand leaves out devices that were not quiet
  std::set<std::string> awaited_;  // devices that were leased once, and not seen since the start
  uint64_t next_order_ = 1;
  BatchQueue queue_;
  Policy policy_;
  int64_t typical_ns_;                                       // of an attempt, lately
  std::map<std::string, int, std::less<>> devices_of_;       // user -> devices at work for them
  std::map<std::string, int64_t, std::less<>> batches_of_;   // user -> waiting and running
  std::map<std::string, double, std::less<>> device_ns_of_;  // user -> what devices worked for them
  std::map<std::string, Batch, std::less<>> batches_;
  std::map<std::string, Device, std::less<>> devices_;
  std::map<std::string, Agent> agents_;
  std::map<uint64_t, std::string> agent_of_session_;
  std::map<std::string, Client, std::less<>> clients_;
  std::map<uint64_t, int> cancels_;  // calls -> batches of theirs that are not finished
  // Batches that are ending, but the journal could not take it.
  std::set<std::string> unsaved_ends_;
  // Devices that are leased, have room, and whose agent can be told: some of them are kept from
  // what waits by demands or policy.
  std::set<std::string> open_devices_;
  // By selector and target as clients write them, and the kind; few, so they are shared.
  mutable std::map<std::tuple<std::string, std::string, WorkKind>, std::shared_ptr<const Demand>>
      demands_;
  // By the demand's text: a device that could run it when it was last asked.
  mutable std::map<std::string, std::string> runs_on_;

  // Gathered while an event is handled.
  std::vector<FarmEffect> effects_;
  std::set<std::string> agents_to_tell_;
  std::set<std::string> touched_devices_;                   // whose room may have changed
  std::set<std::shared_ptr<const Demand>> queued_demands_;  // of batches that came into the queue
  std::set<std::string> freed_users_;                       // for whom a device fewer works
  bool all_may_have_changed_ = false;
};

}  // namespace hone
