// A farm in miniature, driven by one seed: a tracker that crashes between any two effects, agents
// that are cut off, paused and started again, clients that resend, messages that are lost, doubled
// and overtaken. After the storm everything must come to its end, and these must have held always:
//   I1 a device has at most one living lease     I2 its epochs only rise, across crashes too
//   I3 what was acknowledged is stored exactly once     I4 nothing under a stale epoch counts
//   I5 every batch comes to one outcome
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "db/memory_record_store.h"
#include "tracker/farm_state.h"

namespace hone {
namespace {

constexpr int64_t kMilli = 1'000'000;
constexpr int64_t kSecond = 1000 * kMilli;
constexpr int kAgents = 4;
constexpr int kBoards = 3;  // fewer than agents: two of them are the same board, cloned
constexpr int kBatches = 24;
constexpr int64_t kStormNs = 600 * kSecond;
constexpr int64_t kCalmNs = 900 * kSecond;

class Simulator {
 public:
  // A tracker that crashes heals much by starting anew, so every other seed is without crashes.
  explicit Simulator(uint64_t seed) : random_(seed), crashes_(seed % 2 == 0) {
    for (int i = 0; i < kAgents; ++i) {
      agents_.push_back(
          {.name = absl::StrCat("agent", i), .device = absl::StrCat("board", i % kBoards)});
    }
    batch_ = std::make_shared<pb::Batch>();
    batch_->set_workload("workload/1 w");
    batch_->set_target(Target().ToString());
    batch_->set_numerics("fp32");
    batch_->add_candidates()->set_schedule("schedule/1");
    for (int i = 0; i < kBatches; ++i) wanted_.insert(absl::StrCat("b", i));
    StartTracker();
  }

  void Run() {
    At(0, [this] { ClientActs(); });
    for (int i = 0; i < kAgents; ++i) At(Chance(5 * kSecond), [this, i] { AgentBoots(i); });
    At(kSecond, [this] { Ticks(); });
    At(Chance(60 * kSecond), [this] { Strikes(); });
    while (!events_.empty() && now_ns_ < kStormNs + kCalmNs && !wanted_.empty()) {
      auto first = events_.begin();
      now_ns_ = first->first.first;
      const std::function<void()> act = std::move(first->second);
      events_.erase(first);
      act();
    }
    EXPECT_TRUE(wanted_.empty()) << wanted_.size() << " batches without an outcome, the first "
                                 << *wanted_.begin() << "\n"
                                 << log_;
    CheckStore();
  }

  std::string log_digest() const { return Digest(log_); }

 private:
  struct Agent {
    std::string name;
    std::string device;
    uint64_t boot = 0;
    uint64_t session = 0;  // 0: no stream
    uint64_t sequence = 0;
    uint64_t epoch = 0;
    std::map<std::string, std::string> held;  // attempt -> batch
    std::set<std::string> measured;           // attempts whose reports go out until settled
    int64_t paused_until_ns = 0;
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
  void Log(const std::string& line) { absl::StrAppend(&log_, now_ns_ / kMilli, " ", line, "\n"); }
  // A unary message: may be lost, doubled, late.
  void Deliver(const std::function<void()>& act) {
    if (Unlucky(15)) return;
    At(Chance(Storm() ? 20 * kSecond : 10 * kMilli), act);
    if (Unlucky(10)) At(Chance(60 * kSecond), act);
  }

  // --- Tracker

  void StartTracker() {
    const auto epochs = *journal_.LoadEpochs();
    for (const auto& [device, epoch] : epochs) {
      EXPECT_GE(epoch, highest_epoch_[device]) << "I2 " << device;
    }
    tracker_ = std::make_unique<FarmState>(FarmLimits{}, epochs);
    tracker_->Step(RestoreEvent{*journal_.LoadBatches()}, now_ns_);
    ++life_;
    Log(absl::StrCat("tracker starts, life ", life_));
    for (Agent& agent : agents_) EndStream(agent);
  }

  void Feed(FarmEvent event) {
    std::deque<FarmEvent> events = {std::move(event)};
    while (!events.empty()) {
      auto effects = tracker_->Step(std::move(events.front()), now_ns_);
      events.pop_front();
      for (FarmEffect& effect : effects) {
        // The crash may come before or after any effect, and takes the rest with it.
        if (crashes_ && Unlucky(1)) return StartTracker();
        if (auto* write = std::get_if<WriteJournal>(&effect)) {
          const auto* epoch = std::get_if<EpochEntry>(&write->entry);
          if (epoch != nullptr) {
            EXPECT_GT(epoch->epoch, highest_epoch_[epoch->device]) << "I2 " << epoch->device;
          }
          JournalOutcome outcome = Unlucky(3)
                                       ? JournalOutcome{absl::ResourceExhaustedError("disk full")}
                                       : journal_.Write({write->entry}).front();
          if (epoch != nullptr && outcome.status.ok()) {
            highest_epoch_[epoch->device] = epoch->epoch;
          }
          Log(absl::StrCat("write ", write->entry.index(), " ", outcome.status.ok()));
          events.push_back(WrittenEvent{write->call, write->entry, std::move(outcome)});
        } else if (auto* send = std::get_if<SendOrders>(&effect)) {
          CheckLeases(*send);
          SendToAgent(send->session, send->orders);
        } else if (auto* close = std::get_if<CloseSession>(&effect)) {
          for (Agent& agent : agents_) {
            if (agent.session == close->session) EndStream(agent);
          }
        } else if (auto* answer = std::get_if<AnswerReport>(&effect)) {
          answer_ = *answer;
        }
        if (crashes_ && Unlucky(1)) return StartTracker();
      }
    }
  }

  // I1: two agents are never told that they lease the same device under the same epoch, and the
  // epoch told is never one that is not written down.
  void CheckLeases(const SendOrders& send) {
    for (const Agent& agent : agents_) {
      if (agent.session != send.session) continue;
      for (const pb::DeviceOrders& orders : send.orders.devices()) {
        if (orders.epoch() == 0) continue;
        EXPECT_EQ(orders.epoch(), highest_epoch_[orders.device()]) << "not persisted";
        const std::string holder = absl::StrCat(agent.name, ":", agent.boot);
        const auto [place, first] =
            holder_.try_emplace(absl::StrCat(orders.device(), ":", orders.epoch()), holder);
        EXPECT_EQ(place->second, holder) << "I1 " << place->first;
      }
    }
  }

  void Ticks() {
    Feed(TickEvent{});
    At(kSecond, [this] { Ticks(); });
  }

  // Now and then something breaks.
  void Strikes() {
    if (!Storm()) return;
    Agent& agent = agents_[Chance(kAgents)];
    const int index = static_cast<int>(&agent - agents_.data());
    switch (Chance(4)) {
      case 0:
        if (crashes_) StartTracker();
        break;
      case 1:
        AgentBoots(index);
        break;
      case 2:
        EndStream(agent);
        break;
      case 3:
        agent.paused_until_ns = now_ns_ + Chance(90 * kSecond);
        Log(absl::StrCat(agent.name, " is paused"));
        break;
    }
    At(Chance(30 * kSecond), [this] { Strikes(); });
  }

  // --- Agents

  void AgentBoots(int index) {
    Agent& agent = agents_[index];
    EndStream(agent);
    agent.boot = ++boots_;
    agent.epoch = 0;
    agent.held.clear();
    agent.measured.clear();
    Log(absl::StrCat(agent.name, " boots ", agent.boot));
    const uint64_t boot = agent.boot;
    At(0, [this, index, boot] { AgentBeats(index, boot); });
  }

  void EndStream(Agent& agent) {
    if (agent.session != 0 && tracker_ != nullptr) {
      const uint64_t session = agent.session;
      At(Chance(kSecond), [this, session, life = life_] {
        if (life == life_) Feed(SessionEndedEvent{session});
      });
    }
    agent.session = 0;
  }

  void AgentBeats(int index, uint64_t boot) {
    Agent& agent = agents_[index];
    if (agent.boot != boot) return;
    At(5 * kSecond, [this, index, boot] { AgentBeats(index, boot); });
    if (now_ns_ < agent.paused_until_ns) return;
    SendState(index);
    for (const std::string& attempt : agent.measured) SendReport(index, attempt);
  }

  void SendState(int index) {
    Agent& agent = agents_[index];
    if (agent.session == 0) {
      agent.session = ++sessions_;
      agent.sequence = 0;
    }
    pb::AgentState state;
    state.set_agent(agent.name);
    state.set_boot(agent.boot);
    state.set_sequence(++agent.sequence);
    pb::DeviceStatus* status = state.add_devices();
    status->mutable_info()->set_name(agent.device);
    status->mutable_info()->set_target(Target().ToString());
    status->mutable_info()->set_state(pb::READY);
    status->set_epoch(agent.epoch);
    for (const auto& [attempt, batch] : agent.held) {
      pb::HeldAttempt* held = status->add_held();
      held->set_attempt_id(attempt);
      held->set_batch_id(batch);
    }
    if (Unlucky(10)) return;
    const auto arrive = [this, session = agent.session, state, life = life_] {
      if (life == life_) Feed(AgentStateEvent{session, state});
    };
    At(Chance(kSecond), arrive);
    if (Unlucky(10)) At(Chance(kSecond), arrive);
  }

  void SendToAgent(uint64_t session, const pb::AgentOrders& orders) {
    if (Unlucky(10)) return;
    // Later orders never arrive before earlier ones: it is a stream.
    int64_t& last = orders_arrive_ns_[session];
    last = std::max(last, now_ns_ + Chance(kSecond));
    At(last - now_ns_, [this, session, orders] {
      for (int i = 0; i < kAgents; ++i) {
        if (agents_[i].session == session && now_ns_ >= agents_[i].paused_until_ns) {
          Obey(i, orders);
        }
      }
    });
  }

  void Obey(int index, const pb::AgentOrders& orders) {
    Agent& agent = agents_[index];
    const pb::DeviceOrders& mine = orders.devices(0);
    bool changed = false;
    if (mine.epoch() != agent.epoch) {
      agent.held.clear();
      agent.measured.clear();
      agent.epoch = mine.epoch();
      changed = true;
    }
    std::set<std::string> wished;
    for (const pb::Grant& grant : mine.grants()) {
      wished.insert(grant.attempt_id());
      if (agent.held.contains(grant.attempt_id()) || !grant.has_batch()) continue;
      agent.held[grant.attempt_id()] = grant.batch_id();
      changed = true;
      At(Chance(20 * kSecond), [this, index, boot = agent.boot, id = grant.attempt_id()] {
        Agent& same = agents_[index];
        if (same.boot != boot || !same.held.contains(id)) return;
        same.measured.insert(id);
        SendReport(index, id);
      });
    }
    for (auto held = agent.held.begin(); held != agent.held.end();) {
      const bool drop = !wished.contains(held->first) && !agent.measured.contains(held->first);
      changed |= drop;
      held = drop ? agent.held.erase(held) : std::next(held);
    }
    if (changed) SendState(index);
  }

  void SendReport(int index, const std::string& attempt) {
    const Agent& agent = agents_[index];
    pb::ReportRequest report;
    report.set_agent(agent.name);
    report.set_device(agent.device);
    report.set_epoch(agent.epoch);
    report.set_attempt_id(attempt);
    report.set_batch_id(agent.held.at(attempt));
    report.mutable_result()->add_measurements()->set_cost_ns(1);
    *report.mutable_batch() = *batch_;
    Deliver([this, index, boot = agent.boot, report] {
      const auto before = journal_.Query({})->size();
      const bool stale = report.epoch() != highest_epoch_[report.device()];
      answer_.reset();
      Feed(ReportEvent{++calls_, report});
      if (stale) {
        EXPECT_EQ(journal_.Query({})->size(), before) << "I4";
      }
      if (!answer_ || !answer_->status.ok()) return;
      if (answer_->reply.outcome() == pb::RECORDED) {
        EXPECT_TRUE(journal_.FindBatchResult(report.batch_id())->has_value()) << "I3";
        acknowledged_.insert(report.batch_id());
      }
      Deliver([this, index, boot, id = report.attempt_id()] {
        Agent& agent = agents_[index];
        if (agent.boot != boot) return;
        agent.held.erase(id);
        agent.measured.erase(id);
      });
    });
  }

  // --- The client: submits what the tracker does not know, fetches, acknowledges.

  void ClientActs() {
    At(Storm() ? 3 * kSecond : kSecond, [this] { ClientActs(); });
    Feed(ClientSeenEvent{"client", {taken_.begin(), taken_.end()}});
    for (const std::string& id : wanted_) {
      if (tracker_->KnowsBatch(id)) continue;
      if (const auto result = *journal_.FindBatchResult(id)) {
        taken_.insert(id);
        wanted_.erase(id);
        return;
      }
      Deliver([this, id] {
        if (!wanted_.contains(id) || tracker_->KnowsBatch(id)) return;
        Feed(SubmitEvent{0, "client", id, batch_});
      });
    }
    if (Unlucky(20)) return;
    for (const pb::BatchResult& result : tracker_->ResultsOf("client")) {
      taken_.insert(result.batch_id());
      if (wanted_.erase(result.batch_id()) > 0) Log(absl::StrCat("result ", result.batch_id()));
      if (result.error().empty()) {
        EXPECT_TRUE(journal_.FindBatchResult(result.batch_id())->has_value()) << "I3";
      }
    }
  }

  // I3: each acknowledged batch has its one record.
  void CheckStore() {
    std::map<std::string, int> records;
    const auto stored = *journal_.Query({});
    for (const pb::Record& record : stored) ++records[record.batch_id()];
    for (const auto& [batch, count] : records) EXPECT_EQ(count, 1) << "I3 " << batch;
    for (const std::string& batch : acknowledged_) {
      EXPECT_TRUE(records.contains(batch)) << "I3 " << batch;
    }
  }

  std::mt19937_64 random_;
  const bool crashes_;
  int64_t now_ns_ = 0;
  uint64_t event_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> events_;
  std::string log_;

  MemoryRecordStore journal_;  // survives the tracker
  std::unique_ptr<FarmState> tracker_;
  uint64_t life_ = 0;
  std::optional<AnswerReport> answer_;
  uint64_t calls_ = 0;
  std::map<std::string, uint64_t> highest_epoch_;
  std::map<std::string, std::string> holder_;  // device:epoch -> agent:boot
  std::map<uint64_t, int64_t> orders_arrive_ns_;

  std::vector<Agent> agents_;
  uint64_t boots_ = 0;
  uint64_t sessions_ = 0;

  std::shared_ptr<pb::Batch> batch_;
  std::set<std::string> wanted_;        // without an outcome yet
  std::set<std::string> taken_;         // results that the client has
  std::set<std::string> acknowledged_;  // reports that were answered with RECORDED
};

// HONE_SIMULATOR_SEEDS asks for more.
TEST(FarmSimulator, ComesThroughEveryStorm) {
  const char* more = std::getenv("HONE_SIMULATOR_SEEDS");
  const uint64_t seeds = more != nullptr ? std::strtoull(more, nullptr, 10) : 300;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Simulator(seed).Run();
    if (testing::Test::HasFailure()) return;  // the first one tells enough
  }
}

TEST(FarmSimulator, ReproducesARunFromItsSeed) {
  Simulator first(42), second(42);
  first.Run();
  second.Run();
  EXPECT_EQ(first.log_digest(), second.log_digest());
}

}  // namespace
}  // namespace hone
