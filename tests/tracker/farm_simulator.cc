#include "tests/tracker/farm_simulator.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "tests/tracker/invariants.h"
#include "tracker/farm_state.h"
#include "tracker/farm_view.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr int64_t kMilli = 1'000'000;
constexpr int64_t kSecond = 1000 * kMilli;
constexpr int kUsers = 3;
constexpr int64_t kUnixMs = 1'700'000'000'000;  // when it begins
constexpr int64_t kStormNs = 300 * kSecond;
// All must be finished so long after the storm. The longest wait is for a client that went away.
constexpr int64_t kCalmNs = 1500 * kSecond;
constexpr int64_t kDelayMaxNs = 120 * kSecond;

std::string OutcomeOf(const pb::BatchResult& result) {
  return result.error().empty() ? "measured" : result.error();
}

class Simulator {
 public:
  explicit Simulator(const SimulatorOptions& options)
      : options_(options), random_(options.seed), policy_(PlanFarm()), invariants_(policy_) {}

  SimulatorReport Run() {
    StartTracker();
    for (int i = 0; i < kUsers; ++i) At(Chance(3 * kSecond), [this, i] { ClientActs(i); });
    for (size_t i = 0; i < agents_.size(); ++i) {
      At(Chance(5 * kSecond), [this, i] { AgentBoots(i); });
    }
    At(kSecond, [this] { Ticks(); });
    At(Chance(30 * kSecond), [this] { Strikes(); });
    At(kStormNs, [this] { Calm(); });
    while (!events_.empty() && now_ns_ < kStormNs + kCalmNs && invariants_.violations().empty()) {
      if (unfinished_ == 0 && report_.events >= options_.events_min && !Storm()) break;
      const auto first = events_.begin();
      now_ns_ = first->first.first;
      const std::function<void()> act = std::move(first->second);
      events_.erase(first);
      ++report_.events;
      act();
    }
    if (invariants_.violations().empty()) {
      invariants_.CheckEnd();
      invariants_.CheckStore(journal_);
    }
    report_.violations = invariants_.violations();
    return std::move(report_);
  }

 private:
  struct Device {
    std::string name;
    uint64_t epoch = 0;
    std::map<std::string, std::string> held;  // attempt -> batch
  };
  struct Agent {
    std::string name;
    std::vector<Device> devices;
    bool mortal = false;  // it dies for good when the storm ends
    bool dead = false;
    uint64_t boot = 0;
    uint64_t session = 0;  // 0: no stream
    uint64_t sequence = 0;
    std::map<std::string, pb::ReportRequest> spool;  // attempt -> what came of it, until settled
    int64_t paused_until_ns = 0;
    int64_t deaf_until_ns = 0;  // a partition, one way
    int64_t mute_until_ns = 0;  // the other way
    int64_t beat_ns = 5 * kSecond;
  };
  struct Wish {
    std::string batch;
    std::shared_ptr<const pb::Batch> message;
    std::string device;  // that it names
    bool taken_in = false;
    bool fetched = false;
    bool to_cancel = false;
  };
  struct Client {
    std::string name;
    std::vector<Wish> wishes;
    size_t asked = 0;  // of them, so far
    std::set<std::string> to_acknowledge;
    int64_t away_until_ns = 0;
  };

  // --- Time and luck

  void At(int64_t delay_ns, std::function<void()> act) {
    events_[{now_ns_ + delay_ns, ++event_}] = std::move(act);
  }
  int64_t Chance(int64_t below) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(below));
  }
  bool Storm() const { return now_ns_ < kStormNs; }
  bool Unlucky(int percent) { return Storm() && Chance(100) < percent; }
  // Mostly short, now and then very long.
  int64_t Delay() {
    if (!Storm()) return Chance(10 * kMilli);
    return Chance(10) == 0 ? Chance(kDelayMaxNs) : Chance(2 * kSecond);
  }
  // A message of its own: may be lost, doubled, late, and overtaken.
  void Deliver(const std::function<void()>& act) {
    if (Unlucky(12)) return;
    At(Delay(), act);
    if (Unlucky(8)) At(Delay(), act);
  }
  // Comes to the tracker when it is there and awake; else it is lost or late.
  void AtTracker(const std::function<void()>& act) {
    if (now_ns_ < stalled_until_ns_) {
      At(stalled_until_ns_ - now_ns_, [this, act] { AtTracker(act); });
    } else if (tracker_ != nullptr) {
      act();
    }
  }

  void See(HistoryEvent event) {
    event.time_ns = now_ns_;
    const auto mix = [this](absl::string_view bytes) {
      for (const char c : bytes) {
        report_.log_hash = (report_.log_hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
      }
    };
    mix(absl::StrCat(static_cast<int>(event.act), static_cast<int>(event.kind), now_ns_,
                     event.process, event.batch, event.device, event.epoch, event.outcome,
                     event.value));
    if (options_.keep_log) absl::StrAppend(&report_.log, event.ToLine(), "\n");
    invariants_.See(event);
  }

  // --- The farm

  pb::FarmPolicy PlanFarm() {
    crashes_ = Chance(4) != 0;
    const int count = options_.agents > 0 ? options_.agents : 1 + static_cast<int>(Chance(8));
    const int boards = count - static_cast<int>(Chance(count / 3 + 1));
    for (int i = 0; i < count; ++i) {
      Agent& agent = agents_.emplace_back();
      // Now and then two machines have the same name, or the same board.
      agent.name = absl::StrCat("agent", i > 0 && Chance(12) == 0 ? i - 1 : i);
      agent.devices.push_back({.name = absl::StrCat("board", i % boards)});
      if (Chance(4) == 0) agent.devices.push_back({.name = absl::StrCat("extra", i)});
      agent.beat_ns = 4 * kSecond + Chance(2 * kSecond);
    }
    // Of two agents of one name only the younger works, so their devices may be out of reach.
    const auto is_alone = [this](const Agent& agent) {
      return std::count_if(agents_.begin(), agents_.end(),
                           [&](const Agent& other) { return other.name == agent.name; }) == 1;
    };
    agents_.back().mortal = count > 1 && is_alone(agents_.back()) && Chance(3) == 0;
    std::set<std::string> safe_names, others;
    for (const Agent& agent : agents_) {
      const bool is_safe = is_alone(agent) && !agent.mortal;
      for (const Device& device : agent.devices) {
        (is_safe ? safe_names : others).insert(device.name);
      }
    }
    std::vector<std::string> safe;
    for (const std::string& device : safe_names) {
      if (!others.contains(device)) safe.push_back(device);
    }
    pb::FarmPolicy policy;
    for (int i = 0; i < kUsers; ++i) {
      pb::UserPolicy& user = *policy.add_users();
      user.set_user(absl::StrCat("u", i));
      user.set_weight(1 + static_cast<double>(Chance(3)));
      user.set_devices_max(static_cast<int>(Chance(3)));
      user.set_batches_max(Chance(2) == 0 ? 0 : 4);
    }
    if (safe.size() > 1 && Chance(2) == 0) {
      pb::Reservation& reservation = *policy.add_reservations();
      reservation.set_device(safe.back());
      reservation.set_user("u0");
      reservation.set_until_unix_ms(2 * kUnixMs);
    }
    for (int i = 0; i < kUsers; ++i) PlanClient(i, safe, policy);
    return policy;
  }

  void PlanClient(int index, const std::vector<std::string>& safe, const pb::FarmPolicy& policy) {
    Client& client = clients_.emplace_back();
    client.name = absl::StrCat("client", index);
    const int64_t count = 6 + Chance(10) + 2 * options_.agents;
    for (int64_t i = 0; i < count; ++i) {
      Wish& wish = client.wishes.emplace_back();
      wish.batch = absl::StrCat("u", index, "-", i);
      if (!safe.empty() && Chance(4) == 0) {
        wish.device = safe[static_cast<size_t>(Chance(static_cast<int64_t>(safe.size())))];
        for (const pb::Reservation& reservation : policy.reservations()) {
          if (reservation.device() == wish.device && index != 0) wish.device.clear();
        }
      }
      auto message = std::make_shared<pb::Batch>();
      message->set_workload("workload/1 w");
      message->set_target(target_);
      message->set_numerics("fp32");
      message->set_user(absl::StrCat("u", index));
      message->set_selector(wish.device);
      message->set_priority(static_cast<int>(Chance(3)));
      message->add_candidates()->set_schedule("schedule/1");
      wish.message = std::move(message);
      wish.to_cancel = Chance(5) == 0;
      ++unfinished_;
    }
  }

  // --- The tracker

  void StartTracker() {
    tracker_ = std::make_unique<FarmState>(FarmLimits{}, *journal_.LoadEpochs());
    ++life_;
    See({.act = Act::kRestart, .kind = Kind::kInfo, .process = absl::StrCat("tracker:", life_)});
    const uint64_t life = life_;
    Feed(PolicyEvent{policy_, kUnixMs + now_ns_ / kMilli + wall_jump_ms_});
    if (life == life_) Feed(RestoreEvent{*journal_.LoadBatches()});
  }

  void Crash() {
    if (tracker_ == nullptr) return;
    ++report_.crashes;
    tracker_.reset();
    ++life_;
    stalled_until_ns_ = 0;
    // What is on its way to the disk is there as a whole, or not at all; the rest is lost.
    if (!writing_.empty() && Chance(2) == 0) WriteDown(writing_);
    writing_.clear();
    to_write_.clear();
    reports_.clear();
    submits_.clear();
    cancels_.clear();
    for (Agent& agent : agents_) agent.session = 0;
    At(Chance(5 * kSecond), [this] {
      if (tracker_ == nullptr) StartTracker();
    });
  }

  void Feed(FarmEvent event) {
    std::vector<FarmEffect> effects = tracker_->Step(std::move(event), now_ns_);
    for (FarmEffect& effect : effects) {
      // The crash may come before any effect, and takes the rest with it.
      if (crashes_ && Storm() && Chance(400) == 0) return Crash();
      if (auto* write = std::get_if<WriteJournal>(&effect)) {
        if (const auto* grant = std::get_if<GrantEntry>(&write->entry)) {
          See({.act = Act::kGrant,
               .process = absl::StrCat("tracker:", life_),
               .batch = grant->batch_id,
               .device = grant->device,
               .epoch = grant->epoch,
               .user = grant->batch_id.substr(0, 2),
               .value = DevicesOf(grant->batch_id.substr(0, 2))});
        }
        to_write_.push_back(std::move(*write));
      } else if (auto* send = std::get_if<SendOrders>(&effect)) {
        SendToAgent(*send);
      } else if (auto* close = std::get_if<CloseSession>(&effect)) {
        for (Agent& agent : agents_) {
          if (agent.session == close->session) EndStream(agent);
        }
      } else if (auto* submit = std::get_if<AnswerSubmit>(&effect)) {
        Take(submits_, submit->call, submit->status);
      } else if (auto* cancel = std::get_if<AnswerCancel>(&effect)) {
        Take(cancels_, cancel->call, cancel->status);
      } else if (auto* answer = std::get_if<AnswerReport>(&effect)) {
        Take(reports_, answer->call, *answer);
      }
    }
    KeepWriting();
  }

  template <typename Answers, typename Answer>
  static void Take(Answers& answers, uint64_t call, const Answer& answer) {
    if (const auto waiting = answers.extract(call); !waiting.empty()) waiting.mapped()(answer);
  }

  int DevicesOf(const std::string& user) const {
    pb::SnapshotRequest request;
    request.set_devices_max(1000);
    pb::FarmSnapshot snapshot;
    FarmView(*tracker_, now_ns_).AddTo(request, &snapshot);
    int devices = 0;
    for (const pb::DeviceEntry& device : snapshot.devices()) {
      devices +=
          std::any_of(device.attempts().begin(), device.attempts().end(),
                      [&](const pb::AttemptEntry& attempt) { return attempt.user() == user; });
    }
    return devices;
  }

  // One group at a time is on its way to the disk.
  void KeepWriting() {
    if (!writing_.empty() || to_write_.empty()) return;
    size_t count = std::min<size_t>(to_write_.size(), 128);
    if (Storm()) count = 1 + static_cast<size_t>(Chance(static_cast<int64_t>(count)));
    for (; count > 0; --count) {
      writing_.push_back(std::move(to_write_.front()));
      to_write_.pop_front();
    }
    const int64_t takes_ns = Unlucky(3) ? Chance(3 * kSecond) : kMilli + Chance(20 * kMilli);
    At(takes_ns, [this, life = life_] {
      if (life != life_) return;
      std::vector<WriteJournal> group = std::move(writing_);
      writing_.clear();
      std::vector<JournalOutcome> outcomes;
      if (Unlucky(3)) {
        outcomes.assign(group.size(), {absl::ResourceExhaustedError("the disk is full")});
      } else {
        outcomes = WriteDown(group);
        // The disk says no, and has it all the same.
        if (Unlucky(1)) outcomes.assign(group.size(), {absl::UnavailableError("who knows")});
      }
      for (size_t i = 0; i < group.size(); ++i) {
        WrittenEvent event = {group[i].call, std::move(group[i].entry), std::move(outcomes[i])};
        Feed(std::move(event));
        if (life != life_) return;
      }
      KeepWriting();
    });
  }

  std::vector<JournalOutcome> WriteDown(const std::vector<WriteJournal>& group) {
    std::vector<JournalOutcome> outcomes;
    for (const WriteJournal& write : group) {
      outcomes.push_back(journal_.Write({write.entry}).front());
      if (!outcomes.back().status.ok()) continue;
      if (const auto* epoch = std::get_if<EpochEntry>(&write.entry)) {
        See({.act = Act::kEpoch,
             .kind = Kind::kOk,
             .device = epoch->device,
             .epoch = epoch->epoch});
      } else if (const auto* outcome = std::get_if<OutcomeEntry>(&write.entry)) {
        See(CommitOf(outcome->result));
      }
    }
    return outcomes;
  }

  // Device and epoch as the agent measured, whatever the tracker makes of them.
  static HistoryEvent CommitOf(const pb::BatchResult& result) {
    HistoryEvent event = {.act = Act::kCommit,
                          .kind = Kind::kOk,
                          .batch = result.batch_id(),
                          .outcome = OutcomeOf(result)};
    const auto device = result.environment().find("device");
    if (device == result.environment().end()) return event;
    event.device = device->second;
    event.epoch = std::stoull(result.environment().at("epoch"));
    return event;
  }

  void Ticks() {
    At(kSecond, [this] { Ticks(); });
    AtTracker([this] { Feed(TickEvent{}); });
  }

  // Now and then something breaks.
  void Strikes() {
    if (!Storm()) return;
    At(Chance(20 * kSecond), [this] { Strikes(); });
    const auto index = static_cast<size_t>(Chance(static_cast<int64_t>(agents_.size())));
    Agent& agent = agents_[index];
    switch (Chance(9)) {
      case 0:
      case 1:
        if (crashes_) Crash();
        break;
      case 2:
        if (options_.agents_leave && Chance(2) == 0) SendState(index, /*leaves=*/true);
        AgentBoots(index);
        break;
      case 3:
        EndStream(agent);
        break;
      case 4:
        // Up to ten times a lease.
        agent.paused_until_ns = now_ns_ + Chance(Chance(4) == 0 ? 300 * kSecond : 60 * kSecond);
        break;
      case 5:
        agent.deaf_until_ns = now_ns_ + Chance(90 * kSecond);
        break;
      case 6:
        agent.mute_until_ns = now_ns_ + Chance(90 * kSecond);
        break;
      case 7:
        stalled_until_ns_ = now_ns_ + Chance(60 * kSecond);
        break;
      case 8:
        // The tracker's wall clock is set; somebody writes the policy anew under it.
        wall_jump_ms_ = Chance(2 * 3600 * 1000) - 3600 * 1000;
        AtTracker(
            [this] { Feed(PolicyEvent{policy_, kUnixMs + now_ns_ / kMilli + wall_jump_ms_}); });
        break;
    }
  }

  void Calm() {
    See({.act = Act::kCalm});
    stalled_until_ns_ = 0;
    wall_jump_ms_ = 0;
    for (Agent& agent : agents_) {
      agent.paused_until_ns = agent.deaf_until_ns = agent.mute_until_ns = 0;
      if (!agent.mortal) continue;
      EndStream(agent);
      agent.dead = true;
    }
    if (tracker_ != nullptr) {
      Feed(PolicyEvent{policy_, kUnixMs + now_ns_ / kMilli});
    }
  }

  // --- Agents

  void AgentBoots(size_t index) {
    Agent& agent = agents_[index];
    if (agent.dead) return;
    EndStream(agent);
    agent.boot = ++boots_;
    See({.act = Act::kBoot, .process = absl::StrCat(agent.name, ":", agent.boot)});
    for (Device& device : agent.devices) {
      device.epoch = 0;
      device.held.clear();
    }
    if (Chance(2) == 0) agent.spool.clear();  // else it lies on its disk
    At(0, [this, index, boot = agent.boot] { AgentBeats(index, boot); });
  }

  void EndStream(Agent& agent) {
    const uint64_t session = std::exchange(agent.session, 0);
    if (session == 0) return;
    At(Chance(kSecond), [this, session, life = life_] {
      AtTracker([this, session, life] {
        if (life == life_) Feed(SessionEndedEvent{session});
      });
    });
  }

  void AgentBeats(size_t index, uint64_t boot) {
    Agent& agent = agents_[index];
    if (agent.boot != boot || agent.dead) return;
    At(agent.beat_ns, [this, index, boot] { AgentBeats(index, boot); });
    if (now_ns_ < agent.paused_until_ns) return;
    SendState(index);
    std::vector<std::string> attempts;
    for (const auto& [attempt, report] : agent.spool) attempts.push_back(attempt);
    for (const std::string& attempt : attempts) SendReport(index, attempt);
  }

  // An agent that leaves in good order says that it has no devices any more.
  void SendState(size_t index, bool leaves = false) {
    Agent& agent = agents_[index];
    if (tracker_ == nullptr) return;
    if (agent.session == 0) {
      agent.session = ++sessions_;
      agent.sequence = 0;
      agent_of_session_[agent.session] = absl::StrCat(agent.name, ":", agent.boot);
    }
    pb::AgentState state;
    state.set_agent(agent.name);
    state.set_boot(agent.boot);
    state.set_sequence(++agent.sequence);
    for (const Device& device : agent.devices) {
      if (leaves) break;
      pb::DeviceStatus* status = state.add_devices();
      status->mutable_info()->set_name(device.name);
      status->mutable_info()->set_target(target_);
      status->mutable_info()->set_state(pb::READY);
      status->set_epoch(device.epoch);
      for (const auto& [attempt, batch] : device.held) {
        pb::HeldAttempt* held = status->add_held();
        held->set_attempt_id(attempt);
        held->set_batch_id(batch);
      }
    }
    if (Unlucky(10) || now_ns_ < agent.mute_until_ns) return;
    const auto arrive = [this, session = agent.session, state = std::move(state), life = life_] {
      AtTracker([=, this] {
        if (life == life_) Feed(AgentStateEvent{session, state});
      });
    };
    At(Chance(Storm() ? kSecond : 10 * kMilli), arrive);
    if (Unlucky(8)) At(Chance(kSecond), arrive);
  }

  void SendToAgent(const SendOrders& send) {
    const auto process = agent_of_session_.find(send.session);
    for (const pb::DeviceOrders& orders : send.orders.devices()) {
      if (orders.epoch() == 0) continue;
      See({.act = Act::kLease,
           .kind = Kind::kOk,
           .process = process->second,
           .device = orders.device(),
           .epoch = orders.epoch(),
           .value = orders.ttl_ms() * kMilli});
    }
    if (Unlucky(10)) return;
    // Later orders never arrive before earlier ones: it is a stream.
    int64_t& last = orders_arrive_ns_[send.session];
    last = std::max(last, now_ns_ + Chance(Storm() ? kSecond : 10 * kMilli));
    At(last - now_ns_, [this, send] {
      for (size_t i = 0; i < agents_.size(); ++i) {
        const Agent& agent = agents_[i];
        const int64_t busy_until_ns = std::max(agent.paused_until_ns, agent.deaf_until_ns);
        if (agent.session == send.session && now_ns_ >= busy_until_ns) Obey(i, send.orders);
      }
    });
  }

  void Obey(size_t index, const pb::AgentOrders& orders) {
    Agent& agent = agents_[index];
    bool changed = false;
    for (Device& device : agent.devices) {
      for (const pb::DeviceOrders& mine : orders.devices()) {
        if (mine.device() == device.name) changed |= Obey(index, device, mine);
      }
    }
    if (changed) SendState(index);
  }

  bool Obey(size_t index, Device& device, const pb::DeviceOrders& orders) {
    Agent& agent = agents_[index];
    bool changed = false;
    if (orders.epoch() != device.epoch) {
      device.held.clear();
      device.epoch = orders.epoch();
      changed = true;
    }
    std::set<std::string> wished;
    for (const pb::Grant& grant : orders.grants()) {
      const std::string& id = grant.attempt_id();
      wished.insert(id);
      if (device.held.contains(id) || !grant.has_batch()) continue;
      device.held[id] = grant.batch_id();
      changed = true;
      At(kSecond + Chance(20 * kSecond), [this, index, boot = agent.boot, name = device.name, id] {
        Measured(index, boot, name, id);
      });
    }
    for (auto held = device.held.begin(); held != device.held.end();) {
      const bool drop = !wished.contains(held->first) && !agent.spool.contains(held->first);
      changed |= drop;
      held = drop ? device.held.erase(held) : std::next(held);
    }
    return changed;
  }

  void Measured(size_t index, uint64_t boot, const std::string& name, const std::string& attempt) {
    Agent& agent = agents_[index];
    if (agent.boot != boot || agent.dead || agent.spool.contains(attempt)) return;
    for (Device& device : agent.devices) {
      const auto held = device.held.find(attempt);
      if (device.name != name || held == device.held.end()) continue;
      pb::ReportRequest& report = agent.spool[attempt];
      report.set_agent(agent.name);
      report.set_device(name);
      report.set_epoch(device.epoch);
      report.set_attempt_id(attempt);
      report.set_batch_id(held->second);
      auto& environment = *report.mutable_result()->mutable_environment();
      environment["device"] = name;
      environment["epoch"] = absl::StrCat(device.epoch);
      if (Chance(20) == 0) {
        report.mutable_result()->set_error("its worker did not start");
      } else {
        report.mutable_result()->add_measurements()->set_cost_ns(1 + Chance(1 << 20));
      }
      *report.mutable_batch() = *clients_[held->second[1] - '0'].wishes.front().message;
      SendReport(index, attempt);
      return;
    }
  }

  void SendReport(size_t index, const std::string& attempt) {
    const Agent& agent = agents_[index];
    if (now_ns_ < agent.mute_until_ns) return;
    Deliver([this, index, boot = agent.boot, report = agent.spool.at(attempt)] {
      AtTracker([=, this] {
        const uint64_t call = ++calls_;
        reports_[call] = [this, index, boot, report](const AnswerReport& answer) {
          if (!answer.status.ok()) return;
          See({.act = Act::kReport,
               .kind = Kind::kOk,
               .process = absl::StrCat(report.agent(), ":", boot),
               .batch = report.batch_id(),
               .device = report.device(),
               .epoch = report.epoch(),
               .outcome = pb::ReportOutcome_Name(answer.reply.outcome())});
          if (now_ns_ < agents_[index].deaf_until_ns) return;
          Deliver([this, index, boot, id = report.attempt_id()] {
            Agent& agent = agents_[index];
            if (agent.boot != boot) return;
            agent.spool.erase(id);
            for (Device& device : agent.devices) device.held.erase(id);
          });
        };
        Feed(ReportEvent{call, report});
      });
    });
  }

  // --- Clients

  void ClientActs(int index) {
    Client& client = clients_[index];
    At(Storm() ? 3 * kSecond : kSecond, [this, index] { ClientActs(index); });
    if (now_ns_ < client.away_until_ns) return;
    if (Storm() && Chance(1500) == 0) {
      client.away_until_ns = now_ns_ + 650 * kSecond;
      See({.act = Act::kSilent, .process = client.name});
      return;
    }
    if (client.asked < client.wishes.size() && (!Storm() || Chance(3) == 0)) ++client.asked;
    for (size_t i = 0; i < client.asked; ++i) {
      if (!client.wishes[i].fetched && !client.wishes[i].taken_in) Submit(index, i);
      if (client.wishes[i].to_cancel && Chance(3) == 0) Cancel(index, i);
    }
    Fetch(index);
  }

  void Submit(int index, size_t which) {
    const Client& client = clients_[index];
    const Wish& wish = client.wishes[which];
    const auto see = [this, name = client.name, batch = wish.batch, device = wish.device](
                         Kind kind, const std::string& outcome = "") {
      See({.act = Act::kSubmit,
           .kind = kind,
           .process = name,
           .batch = batch,
           .device = device,
           .outcome = outcome});
    };
    see(Kind::kInvoke);
    Deliver([this, index, which, see] {
      AtTracker([=, this] {
        const uint64_t call = ++calls_;
        submits_[call] = [this, index, which, see](const Status& status) {
          Deliver([this, index, which, see, status] {
            if (status.ok()) clients_[index].wishes[which].taken_in = true;
            see(status.ok()                   ? Kind::kOk
                : absl::IsUnavailable(status) ? Kind::kInfo
                                              : Kind::kFail,
                absl::StatusCodeToString(status.code()));
          });
        };
        const Client& client = clients_[index];
        const Wish& wish = client.wishes[which];
        Feed(SubmitEvent{call, client.name, wish.batch, wish.message});
      });
    });
  }

  void Cancel(int index, size_t which) {
    Wish& wish = clients_[index].wishes[which];
    wish.to_cancel = false;
    Deliver([this, index, which] {
      AtTracker([=, this] {
        const Client& client = clients_[index];
        const std::string& batch = client.wishes[which].batch;
        const uint64_t call = ++calls_;
        const bool known = tracker_->KnowsBatch(batch);
        cancels_[call] = [this, name = client.name, batch, known](const Status& status) {
          if (!known || !status.ok()) return;
          See({.act = Act::kCancel, .kind = Kind::kOk, .process = name, .batch = batch});
        };
        Feed(CancelEvent{call, client.name, {batch}});
      });
    });
  }

  void Fetch(int index) {
    Client& client = clients_[index];
    std::vector<std::string> outstanding;
    for (const Wish& wish : client.wishes) {
      if (wish.taken_in && !wish.fetched) outstanding.push_back(wish.batch);
    }
    Deliver([this, index, outstanding, acknowledged = client.to_acknowledge] {
      AtTracker([=, this] {
        const std::string& name = clients_[index].name;
        const uint64_t life = life_;
        Feed(ClientSeenEvent{name, {acknowledged.begin(), acknowledged.end()}});
        if (life != life_) return;
        std::vector<pb::BatchResult> results = tracker_->ResultsOf(name);
        std::vector<std::string> unknown;
        for (const std::string& batch : outstanding) {
          if (tracker_->KnowsBatch(batch)) continue;
          const auto found = *journal_.FindBatchResult(batch);
          if (found) {
            results.push_back(*found);
          } else {
            unknown.push_back(batch);
          }
        }
        if (results.empty() && unknown.empty()) return;
        Deliver([this, index, results, unknown] { TakeResults(index, results, unknown); });
      });
    });
  }

  void TakeResults(int index, const std::vector<pb::BatchResult>& results,
                   const std::vector<std::string>& unknown) {
    Client& client = clients_[index];
    const auto wish_of = [&](const std::string& batch) -> Wish& {
      return *std::find_if(client.wishes.begin(), client.wishes.end(),
                           [&](const Wish& wish) { return wish.batch == batch; });
    };
    for (const pb::BatchResult& result : results) {
      client.to_acknowledge.insert(result.batch_id());
      Wish& wish = wish_of(result.batch_id());
      if (!wish.fetched) --unfinished_;
      wish.fetched = true;
      See({.act = Act::kFetch,
           .kind = Kind::kOk,
           .process = client.name,
           .batch = result.batch_id(),
           .outcome = OutcomeOf(result)});
    }
    for (const std::string& batch : unknown) {
      Wish& wish = wish_of(batch);
      if (wish.fetched) continue;
      wish.taken_in = false;
      See({.act = Act::kUnknown, .process = client.name, .batch = batch});
    }
  }

  const SimulatorOptions options_;
  const std::string target_ = Target().ToString();
  std::mt19937_64 random_;
  SimulatorReport report_;
  int64_t now_ns_ = 0;
  uint64_t event_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> events_;
  bool crashes_ = false;  // does the tracker: one that crashes heals much by starting anew
  int64_t unfinished_ = 0;
  std::vector<Agent> agents_;
  std::vector<Client> clients_;
  const pb::FarmPolicy policy_;
  Invariants invariants_;

  MemoryRecordStore journal_;  // survives the tracker
  std::unique_ptr<FarmState> tracker_;
  uint64_t life_ = 0;
  int64_t stalled_until_ns_ = 0;
  int64_t wall_jump_ms_ = 0;
  std::deque<WriteJournal> to_write_;
  std::vector<WriteJournal> writing_;
  uint64_t calls_ = 0;
  std::map<uint64_t, std::function<void(const AnswerReport&)>> reports_;
  std::map<uint64_t, std::function<void(const Status&)>> submits_;
  std::map<uint64_t, std::function<void(const Status&)>> cancels_;

  uint64_t boots_ = 0;
  uint64_t sessions_ = 0;
  std::map<uint64_t, std::string> agent_of_session_;
  std::map<uint64_t, int64_t> orders_arrive_ns_;
};

}  // namespace

SimulatorReport Simulate(const SimulatorOptions& options) { return Simulator(options).Run(); }

}  // namespace hone
