// Messages of agents and clients to the tracker's mind, in any order, legal or not: made up of few
// names and small numbers, so that they meet, or read off the wire as they come and let through by
// the same rules as in the tracker (tracker/wire_rules.h, batch_records.h, policy.h). The journal
// is slow, fails, and loses what was not written when the tracker is killed. After every event the
// invariants of a farm are looked at (tests/tracker/invariants.h), but for those of quotas, which
// change under the hands of this fuzzer.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "tests/tracker/invariants.h"
#include "tracker/batch_records.h"
#include "tracker/farm_state.h"
#include "tracker/policy.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int kEventsMax = 200;
constexpr int kBytesMax = 256;  // of one message off the wire

class Farm {
 public:
  explicit Farm(FuzzedDataProvider& input) : input_(input) { Start(); }

  void Run() {
    for (int i = 0; i < kEventsMax && input_.remaining_bytes() > 0; ++i) {
      Step();
      CheckInvariants();
      HONE_CHECK(state_->queued_batches() >= 0 && state_->running_batches() >= 0);
    }
    if (made_of_bytes_) return;  // which may have any number of candidates
    invariants_.CheckStore(journal_);
    CheckInvariants();
  }

 private:
  int Pick(int below) { return input_.ConsumeIntegralInRange<int>(0, below - 1); }
  template <typename Message>
  Message OffTheWire() {
    Message message;
    made_of_bytes_ = true;
    if (!message.ParseFromString(input_.ConsumeRandomLengthString(kBytesMax))) message.Clear();
    return message;
  }

  void CheckInvariants() {
    HONE_CHECK(invariants_.violations().empty()) << invariants_.violations().front();
  }
  void See(HistoryEvent event) {
    event.time_ns = now_ns_;
    invariants_.See(event);
  }

  // --- The tracker

  void Start() {
    state_ = std::make_unique<FarmState>(FarmLimits{.batches_max = 16}, *journal_.LoadEpochs());
    ++life_;
    sessions_.clear();
    to_write_.clear();
    See({.act = Act::kRestart, .process = absl::StrCat("tracker:", life_)});
    Feed(RestoreEvent{*journal_.LoadBatches()});
  }

  void Feed(FarmEvent event) {
    for (FarmEffect& effect : state_->Step(std::move(event), now_ns_)) {
      if (auto* write = std::get_if<WriteJournal>(&effect)) {
        to_write_.push_back(std::move(*write));
      } else if (auto* send = std::get_if<SendOrders>(&effect)) {
        Send(std::move(*send));
      } else if (auto* close = std::get_if<CloseSession>(&effect)) {
        sessions_.erase(close->session);
      } else if (auto* submitted = std::get_if<AnswerSubmit>(&effect)) {
        if (!submitted->status.ok()) continue;
        See({.act = Act::kSubmit,
             .kind = Kind::kOk,
             .process = ClientOf(submitted->call),
             .batch = submitted->batch_id});
      } else if (auto* cancelled = std::get_if<AnswerCancel>(&effect)) {
        const auto batch = cancels_.find(cancelled->call);
        if (batch == cancels_.end() || !cancelled->status.ok()) continue;
        See({.act = Act::kCancel, .kind = Kind::kOk, .batch = batch->second});
      } else if (auto* answer = std::get_if<AnswerReport>(&effect)) {
        if (!answer->status.ok()) continue;
        See({.act = Act::kReport,
             .kind = Kind::kOk,
             .batch = reports_[answer->call],
             .outcome = pb::ReportOutcome_Name(answer->reply.outcome())});
      }
    }
  }

  // The first of what waits reaches the disk, or does not, or does and nobody knows.
  void Write(int how) {
    if (to_write_.empty()) return;
    WriteJournal write = std::move(to_write_.front());
    to_write_.pop_front();
    JournalOutcome outcome{absl::ResourceExhaustedError("the disk is full")};
    if (how != 0) {
      outcome = journal_.Write({write.entry}).front();
      if (outcome.status.ok()) SeeWritten(write.entry);
      if (how == 1) outcome = {absl::UnavailableError("who knows")};
    }
    Feed(WrittenEvent{write.call, std::move(write.entry), std::move(outcome)});
  }

  void SeeWritten(const JournalEntry& entry) {
    if (const auto* epoch = std::get_if<EpochEntry>(&entry)) {
      See({.act = Act::kEpoch, .kind = Kind::kOk, .device = epoch->device, .epoch = epoch->epoch});
    } else if (const auto* outcome = std::get_if<OutcomeEntry>(&entry)) {
      const std::string& error = outcome->result.error();
      See({.act = Act::kCommit,
           .kind = Kind::kOk,
           .batch = outcome->result.batch_id(),
           .device = outcome->device,
           .epoch = outcome->epoch,
           .outcome = error.empty() ? "measured" : error});
    }
  }

  // --- Agents

  struct Session {
    std::string agent;
    uint64_t boot = 0;
    uint64_t sequence = 0;
    pb::AgentState state;    // the latest that was sent
    pb::AgentOrders orders;  // the latest that came
  };

  void Send(SendOrders send) {
    const auto session = sessions_.find(send.session);
    if (session == sessions_.end()) return;
    for (const pb::DeviceOrders& device : send.orders.devices()) {
      if (device.epoch() == 0) continue;
      const std::string life = absl::StrCat(session->second.agent, ":", session->second.boot);
      told_.try_emplace({device.device(), device.epoch()}, life);
      See({.act = Act::kLease,
           .kind = Kind::kOk,
           .process = life,
           .device = device.device(),
           .epoch = device.epoch(),
           .value = device.ttl_ms() * 1'000'000});
    }
    session->second.orders = std::move(send.orders);
  }

  // Who may speak for a device may say anything of it, but not that it has another's lease: a
  // tracker that was started anew has nobody's word but theirs.
  bool ClaimsOfOthers(const pb::AgentState& state) const {
    const std::string life = absl::StrCat(state.agent(), ":", state.boot());
    return std::any_of(state.devices().begin(), state.devices().end(), [&](const auto& device) {
      const auto told = told_.find({device.info().name(), device.epoch()});
      return told != told_.end() && told->second != life;
    });
  }

  // As the service does: the first state of a stream says whose it is.
  void TakeState(uint64_t number, pb::AgentState state) {
    Session& session = sessions_[number];
    if (!CheckAgentState(state).ok()) return;
    if (session.agent.empty()) {
      session.agent = state.agent();
      session.boot = state.boot();
    }
    if (session.agent != state.agent() || session.boot != state.boot()) return;
    if (ClaimsOfOthers(state)) return;
    SeeState(session, state);
    session.state = state;
    Feed(AgentStateEvent{number, std::move(state)});
  }

  // A new life of an agent holds nothing, and who no longer names a device has handed it back: from
  // then on it may be leased to others.
  void SeeState(const Session& session, const pb::AgentState& state) {
    std::set<std::string> names;
    for (const pb::DeviceStatus& device : state.devices()) names.insert(device.info().name());
    bool is_less = false;
    for (const pb::DeviceStatus& device : session.state.devices()) {
      is_less |= !names.contains(device.info().name());
    }
    uint64_t& boot = boots_[session.agent];
    if (session.boot <= boot && !is_less) return;
    boot = std::max(boot, session.boot);
    See({.act = Act::kBoot, .process = absl::StrCat(session.agent, ":", boot)});
  }

  uint64_t PickSession() {
    if (sessions_.empty() || Pick(4) == 0) return ++last_session_;
    auto session = sessions_.begin();
    std::advance(session, Pick(static_cast<int>(sessions_.size())));
    return session->first;
  }

  void AnAgentSpeaks() {
    const uint64_t number = PickSession();
    Session& session = sessions_[number];
    pb::AgentState state;
    state.set_agent(session.agent.empty() ? absl::StrCat("a", Pick(3)) : session.agent);
    state.set_boot(session.agent.empty() ? static_cast<uint64_t>(1 + Pick(4)) : session.boot);
    session.sequence += static_cast<uint64_t>(Pick(3));
    state.set_sequence(session.sequence);
    for (int count = Pick(3); count > 0; --count) {
      pb::DeviceStatus& status = *state.add_devices();
      status.mutable_info()->set_name(absl::StrCat("d", Pick(3)));
      status.mutable_info()->set_target(Target().ToString());
      status.mutable_info()->set_state(static_cast<pb::DeviceState>(Pick(6)));
      status.set_epoch(static_cast<uint64_t>(Pick(6)));
      for (int held = Pick(3); held > 0; --held) AddHeld(status);
      if (Pick(8) == 0) {
        pb::Taint& taint = *status.add_taints();
        taint.set_since_unix_ms(Pick(100));
        taint.set_until_unix_ms(Pick(100));
        taint.set_reason("drifted");
      }
    }
    TakeState(number, std::move(state));
  }

  void AddHeld(pb::DeviceStatus& status) {
    const std::string batch = absl::StrCat("b", Pick(6));
    pb::HeldAttempt& held = *status.add_held();
    held.set_batch_id(batch);
    held.set_attempt_id(absl::StrCat(batch, "@", status.info().name(), ":", status.epoch()));
  }

  // An agent does as it was told.
  void AnAgentObeys() {
    const uint64_t number = PickSession();
    Session& session = sessions_[number];
    if (session.agent.empty()) return;
    pb::AgentState state = session.state;
    state.set_sequence(++session.sequence);
    for (pb::DeviceStatus& status : *state.mutable_devices()) {
      for (const pb::DeviceOrders& orders : session.orders.devices()) {
        if (orders.device() != status.info().name()) continue;
        status.set_epoch(orders.epoch());
        status.clear_held();
        for (const pb::Grant& grant : orders.grants()) {
          pb::HeldAttempt& held = *status.add_held();
          held.set_batch_id(grant.batch_id());
          held.set_attempt_id(grant.attempt_id());
        }
      }
    }
    TakeState(number, std::move(state));
  }

  void AnAgentReports() {
    pb::ReportRequest report;
    const uint64_t number = PickSession();
    const Session& session = sessions_[number];
    report.set_agent("a0");
    if (Pick(2) == 0 && session.orders.devices_size() > 0) {
      const pb::DeviceOrders& orders = session.orders.devices(Pick(session.orders.devices_size()));
      if (orders.grants().empty()) return;
      const pb::Grant& grant = orders.grants(Pick(orders.grants_size()));
      report.set_device(orders.device());
      report.set_epoch(orders.epoch());
      report.set_batch_id(grant.batch_id());
      report.set_attempt_id(grant.attempt_id());
    } else {
      report.set_device(absl::StrCat("d", Pick(3)));
      report.set_epoch(static_cast<uint64_t>(Pick(6)));
      report.set_batch_id(absl::StrCat("b", Pick(6)));
      report.set_attempt_id(
          absl::StrCat(report.batch_id(), "@", report.device(), ":", report.epoch()));
    }
    *report.mutable_batch() = *MakeBatch("");
    switch (Pick(5)) {
      case 0:
        report.mutable_result()->set_error("its worker did not start");
        break;
      case 1:
        report.mutable_result()->add_measurements()->set_failure(pb::NOT_QUIET);
        break;
      case 2:
        break;  // nothing: of the wrong length
      default:
        report.mutable_result()->add_measurements()->set_cost_ns(1 + Pick(1000));
        break;
    }
    TakeReport(std::move(report));
  }

  void TakeReport(pb::ReportRequest report) {
    if (!CheckReport(report).ok()) return;
    reports_[++call_] = report.batch_id();
    Feed(ReportEvent{call_, std::move(report)});
  }

  // --- Clients

  static std::shared_ptr<const pb::Batch> MakeBatch(const std::string& selector) {
    auto batch = std::make_shared<pb::Batch>();
    batch->set_workload("workload/1 w");
    batch->set_target(Target().ToString());
    batch->set_numerics("fp32");
    batch->set_selector(selector);
    batch->add_candidates()->set_schedule("schedule/1");
    return batch;
  }

  std::string ClientOf(uint64_t call) { return absl::StrCat("c", clients_[call]); }

  void AClientSubmits() {
    // A batch is one client's: ids are unique for ever.
    const int batch = Pick(6);
    std::shared_ptr<const pb::Batch> message;
    if (Pick(6) == 0) {
      message = std::make_shared<const pb::Batch>(OffTheWire<pb::Batch>());
    } else {
      const char* const selectors[] = {"", "", "d0", "d1", "!d0", "nobody"};
      message = MakeBatch(selectors[Pick(6)]);
    }
    if (!CheckBatch(*message).ok()) return;
    const std::string id = absl::StrCat("b", batch);
    if (!state_->KnowsBatch(id) && !state_->CheckSubmittable(*message).ok()) return;
    clients_[++call_] = batch % 2;
    seen_ns_[batch % 2] = now_ns_;
    Feed(SubmitEvent{call_, absl::StrCat("c", batch % 2), id, message});
  }

  void AClientCancels() {
    const int batch = Pick(6);
    const int client = Pick(2);
    const std::string id = absl::StrCat("b", batch);
    ++call_;
    if (client == batch % 2 && state_->KnowsBatch(id)) cancels_[call_] = id;
    Feed(CancelEvent{call_, absl::StrCat("c", client), {id}});
  }

  void AClientFetches() {
    const int client = Pick(2);
    const std::string name = absl::StrCat("c", client);
    std::vector<std::string> acknowledged;
    for (int count = Pick(3); count > 0; --count)
      acknowledged.push_back(absl::StrCat("b", Pick(6)));
    seen_ns_[client] = now_ns_;
    Feed(ClientSeenEvent{name, std::move(acknowledged)});
    for (const pb::BatchResult& result : state_->ResultsOf(name)) {
      See({.act = Act::kFetch,
           .kind = Kind::kOk,
           .process = name,
           .batch = result.batch_id(),
           .outcome = result.error().empty() ? "measured" : result.error()});
    }
  }

  void TimePasses() {
    now_ns_ += Pick(40) * kSecond;
    for (int client = 0; client < 2; ++client) {
      // It may be forgotten.
      if (now_ns_ - seen_ns_[client] > 590 * kSecond) {
        See({.act = Act::kSilent, .process = absl::StrCat("c", client)});
      }
    }
    Feed(TickEvent{});
  }

  void Step() {
    switch (Pick(20)) {
      case 0:
      case 1:
        return AnAgentSpeaks();
      case 2:
      case 3:
      case 4:
        return AnAgentObeys();
      case 5:
        return TakeState(PickSession(), OffTheWire<pb::AgentState>());
      case 6:
      case 7:
        return AnAgentReports();
      case 8:
        return TakeReport(OffTheWire<pb::ReportRequest>());
      case 9:
      case 10:
        return AClientSubmits();
      case 11:
        return AClientCancels();
      case 12:
        return AClientFetches();
      case 13: {
        const int client = Pick(2);
        See({.act = Act::kSilent, .process = absl::StrCat("c", client)});
        return Feed(ClientGoneEvent{absl::StrCat("c", client)});
      }
      case 14: {
        const uint64_t session = PickSession();
        sessions_.erase(session);
        return Feed(SessionEndedEvent{session});
      }
      case 15: {
        pb::FarmPolicy policy = OffTheWire<pb::FarmPolicy>();
        if (!CheckPolicy(policy).ok()) return;
        return Feed(PolicyEvent{std::move(policy), now_ns_ / 1'000'000});
      }
      case 16:
        return TimePasses();
      case 17:
        return Pick(4) == 0 ? Start() : Write(2);
      case 18:
        return Write(Pick(8));
      default:
        for (int count = Pick(8); count > 0; --count) Write(2);
        return;
    }
  }

  FuzzedDataProvider& input_;
  MemoryRecordStore journal_;
  Invariants invariants_;
  std::unique_ptr<FarmState> state_;
  int64_t now_ns_ = 1000 * kSecond;
  int life_ = 0;
  bool made_of_bytes_ = false;
  uint64_t call_ = 0;
  uint64_t last_session_ = 0;
  std::deque<WriteJournal> to_write_;
  std::map<uint64_t, Session> sessions_;
  std::map<std::string, uint64_t> boots_;  // of agents, the latest
  // By device and epoch: the life of an agent that was told of it.
  std::map<std::pair<std::string, uint64_t>, std::string> told_;
  std::map<uint64_t, std::string> reports_;  // by call: the batch
  std::map<uint64_t, std::string> cancels_;
  std::map<uint64_t, int> clients_;
  int64_t seen_ns_[2] = {1000 * kSecond, 1000 * kSecond};
};

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  hone::Farm(input).Run();
  return 0;
}
