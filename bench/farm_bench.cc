// What a farm costs, in parts:
//   farm_bench [PART ...]     default: all
//   decision: how fast the tracker thinks, with a full farm in its head and no network, database or
//     clock. A million batches of 20 users and 200 studies wait, 64 devices of 8 kinds work. How
//     long does FarmState take to take in a batch, and, when a result is in, to say what its device
//     does next? Do the users get what their weights are worth?
//   agents: 10,000 agents, each with a stream of its own to a tracker on this machine
//   restart: a tracker that is killed while much waits is back when?
//   distance: do agents stand idle whose tracker is 50 ms away?
//   overhead: what does a trial cost beside its kernel's own runs?
//   calls: what do the check of permissions and the audit trail cost a call?
#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/quick_mutexes.h"
#include "base/target.h"
#include "bench/aim.h"
#include "bench/farm_parts.h"
#include "tests/support/process_tree.h"
#include "tracker/farm_state.h"

namespace hone {
namespace {

constexpr int kBatches = 1'000'000;
constexpr int kUsers = 20;
constexpr int kStudies = 200;
constexpr int kDevices = 64;
constexpr int kKinds = 8;
constexpr int kDecisions = 40'000;
constexpr int64_t kSecond = 1'000'000'000;

class Farm {
 public:
  Farm() {
    pb::FarmPolicy policy;
    for (int i = 0; i < kUsers; ++i) {
      pb::UserPolicy& user = *policy.add_users();
      user.set_user(absl::StrCat("user", i));
      user.set_weight(1 + i % 3);
    }
    Step(PolicyEvent{policy, 1});
    for (int i = 0; i < kStudies; ++i) {
      auto message = std::make_shared<pb::Batch>();
      message->set_workload(absl::StrCat("workload/1 w", i));
      message->set_target(Target().ToString());
      message->set_numerics("fp32");
      message->set_user(absl::StrCat("user", i % kUsers));
      // Of each user's ten studies two want one kind of board, the others any.
      if (i / kUsers < 2) message->set_selector(absl::StrCat("kind", i % kKinds));
      message->add_candidates()->set_schedule("schedule/1");
      studies_.push_back(std::move(message));
    }
  }

  // Seconds that taking in took.
  double FillQueue() {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatches; ++i) {
      const auto& study = studies_[i % kStudies];
      Step(SubmitEvent{1, absl::StrCat("client", i % kUsers), absl::StrCat("b", i), study});
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }

  void StartDevices() {
    for (int i = 0; i < kDevices; ++i) Hello(i, 0);
    for (int i = 0; i < kDevices; ++i) Hello(i, 1);
  }

  // Milliseconds of each decision.
  std::vector<double> Decide() {
    std::vector<double> took_ms;
    for (int i = 0; i < kDecisions; ++i) {
      const int device = i % kDevices;
      now_ns_ += kSecond / kDevices;
      if (i % (5 * kDevices) < kDevices) Hello(device, 1);
      const std::string attempt = running_[device].front();
      const std::string batch = attempt.substr(0, attempt.find('@'));
      ReportEvent report{.call = 7};
      report.report.set_device(Name(device));
      report.report.set_epoch(1);
      report.report.set_batch_id(batch);
      report.report.set_attempt_id(attempt);
      report.report.mutable_result()->add_measurements()->set_cost_ns(10);
      ++seconds_of_[std::stoi(batch.substr(1)) % kUsers];
      step_ms_ = 0;
      Step(std::move(report));
      took_ms.push_back(step_ms_);
    }
    return took_ms;
  }

  // How far the users' device time is from their weights, at most, as a share of what is due.
  double ShareError() const {
    double weights = 0;
    for (int i = 0; i < kUsers; ++i) weights += 1 + i % 3;
    double worst = 0;
    for (int i = 0; i < kUsers; ++i) {
      const double due = kDecisions * (1 + i % 3) / weights;
      worst = std::max(worst, std::abs(seconds_of_.at(i) - due) / due);
    }
    return worst;
  }

 private:
  static std::string Name(int device) { return absl::StrCat("board", device); }

  void Hello(int device, uint64_t epoch) {
    AgentStateEvent event{.session = static_cast<uint64_t>(device + 1)};
    event.state.set_agent(Name(device));
    event.state.set_boot(1);
    event.state.set_sequence(++sequence_);
    pb::DeviceStatus& status = *event.state.add_devices();
    status.mutable_info()->set_name(Name(device));
    status.mutable_info()->set_target(Target().ToString());
    status.mutable_info()->set_state(pb::READY);
    status.mutable_info()->add_labels(absl::StrCat("kind", device % kKinds));
    status.set_epoch(epoch);
    for (const std::string& attempt : running_[device]) {
      pb::HeldAttempt& held = *status.add_held();
      held.set_attempt_id(attempt);
      held.set_batch_id(attempt.substr(0, attempt.find('@')));
    }
    Step(std::move(event));
  }

  void Step(FarmEvent first) {
    std::deque<FarmEvent> events;
    events.push_back(std::move(first));
    while (!events.empty()) {
      const auto began = std::chrono::steady_clock::now();
      std::vector<FarmEffect> effects = state_.Step(std::move(events.front()), now_ns_);
      step_ms_ +=
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
              .count();
      events.pop_front();
      for (FarmEffect& effect : effects) {
        if (auto* write = std::get_if<WriteJournal>(&effect)) {
          events.push_back(WrittenEvent{write->call, std::move(write->entry), {}});
        } else if (auto* send = std::get_if<SendOrders>(&effect)) {
          std::vector<std::string>& running = running_[static_cast<int>(send->session) - 1];
          running.clear();
          for (const pb::Grant& grant : send->orders.devices(0).grants()) {
            running.push_back(grant.attempt_id());
          }
        }
      }
    }
  }

  FarmState state_{{.client_ttl_ns = int64_t{1} << 60, .batches_max = 2 * kBatches}, {}};
  std::vector<std::shared_ptr<const pb::Batch>> studies_;
  std::map<int, std::vector<std::string>> running_;  // attempts, as the device was told
  std::map<int, double> seconds_of_;                 // by user
  uint64_t sequence_ = 0;
  int64_t now_ns_ = kSecond;
  double step_ms_ = 0;  // of Step, in FarmState alone
};

}  // namespace

void BenchDecision() {
  Farm farm;
  const double fill_s = farm.FillQueue();
  farm.StartDevices();
  const std::vector<double> took_ms = farm.Decide();
  std::cout << absl::StreamFormat(
      "%d batches taken in within %.1f s; %d decisions: p50 %.4f ms, p99 %.4f ms, most %.3f ms\n",
      kBatches, fill_s, kDecisions, PercentileOf(took_ms, 0.5), PercentileOf(took_ms, 0.99),
      PercentileOf(took_ms, 1));
  PrintAim("farm-decision-p99-ms", PercentileOf(took_ms, 0.99), 1, Better::kLess);
  PrintAim("farm-taken-in-per-s", kBatches / fill_s, 5000, Better::kMore);
  PrintAim("farm-share-error-percent", 100 * farm.ShareError(), 5, Better::kLess);
}

double PercentileOf(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place =
      values.begin() + static_cast<int64_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

namespace {

struct Part {
  const char* name;
  void (*run)();
};
constexpr Part kParts[] = {{"decision", BenchDecision}, {"agents", BenchAgents},
                           {"restart", BenchRestart},   {"distance", BenchDistance},
                           {"overhead", BenchOverhead}, {"calls", BenchCalls}};

int Main(int argc, char** argv) {
  QuickMutexes();
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  if (wanted.size() == 2 && wanted[0] == kBesideAgents) {
    BesideAgents(wanted[1]);
    return 0;
  }
  for (const std::string& name : wanted) {
    if (std::any_of(std::begin(kParts), std::end(kParts),
                    [&](const Part& part) { return name == part.name; })) {
      continue;
    }
    std::cerr << "farm_bench: there is no part " << name << "; there are:";
    for (const Part& part : kParts) std::cerr << " " << part.name;
    std::cerr << "\n";
    return 2;
  }
  for (const Part& part : kParts) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), part.name) == wanted.end()) {
      continue;
    }
    std::cout << "-- " << part.name << std::endl;
    part.run();
  }
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  return hone::RunAndLeaveNothing([&] { return hone::Main(argc, argv); });
}
