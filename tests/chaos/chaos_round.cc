#include "tests/chaos/chaos_round.h"

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/chaos/farm_user.h"
#include "tests/chaos/history_log.h"
#include "tests/chaos/job_user.h"
#include "tests/chaos/judgement.h"
#include "tests/chaos/link_cuts.h"
#include "tests/chaos/soak_samples.h"
#include "tests/device_agent/agent_batches.h"
#include "tests/support/agent_crowd.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr absl::Duration kLook =
    absl::Milliseconds(20);                         // for what agents measured that were cut off
constexpr absl::Duration kWord = absl::Seconds(5);  // of the calm, about what still waits
constexpr int kSamples = 12;                        // of a soak
// What a flapping tracker may cost, and a link that was cut.
constexpr double kInVainMax = 0.01;
constexpr double kRecoveryMaxS = 15;

// What can happen, and how often beside the others.
struct Fault {
  const char* name;
  int weight;
};
constexpr Fault kFaults[] = {
    {"kill tracker", 30},  // and start it again
    {"kill agent", 22},    //
    {"kill measuring worker", 22},
    {"kill daemon", 8},
    {"kill tuning worker", 6},
    {"agents of the crowd start anew", 4},
    {"cut a link", 10},
    {"stop an agent", 6},  // and let it go on
    {"fill the disk", 4},  // and free it
};

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place =
      values.begin() + static_cast<int64_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

class ChaosRound {
 public:
  ChaosRound(const ChaosOptions& options, std::unique_ptr<ChaosFarm> farm, std::ostream& log)
      : options_(options),
        farm_(std::move(farm)),
        log_(log),
        random_(static_cast<uint32_t>(options.seed)) {
    report_.skipped = farm_->skipped();
  }

  StatusOr<ChaosReport> Run() {
    HONE_RETURN_IF_ERROR(Begin());
    const absl::Time began = absl::Now();
    if (options_.link_schedules > 0) {
      HONE_RETURN_IF_ERROR(CutLinks());
    } else {
      Storm(began + options_.time);
    }
    report_.storm_s = absl::ToDoubleSeconds(absl::Now() - began);
    Calm();
    JudgeAll();
    return report_;
  }

 private:
  struct Later {
    absl::Time when;
    std::string what;  // that it ends: "stop agent1"
    std::function<void()> act;
  };

  // --- Beginning

  Status Begin() {
    HONE_RETURN_IF_ERROR(StartTracker());
    for (int i = 0; i < farm_->agents(); ++i) {
      HONE_RETURN_IF_ERROR(farm_->Start(absl::StrCat("agent", i)));
    }
    for (int i = 0; i < farm_->daemons(); ++i) {
      HONE_RETURN_IF_ERROR(farm_->Start(absl::StrCat("daemon", i)));
    }
    HONE_ASSIGN_OR_RETURN(target_, farm_->AwaitTarget(kPatience));
    HONE_RETURN_IF_ERROR(StartCrowd());
    for (int i = 0; i < options_.users; ++i) {
      const std::string name = absl::StrCat("user", i);
      users_.push_back(std::make_unique<FarmUser>(
          FarmUserOptions{.name = name,
                          .farm = farm_->ClientOf("tuner/" + name),
                          .seed = options_.seed * 100 + static_cast<uint64_t>(i),
                          .outstanding_max = options_.outstanding_max,
                          .batches_per_s = options_.batches_per_s,
                          .next_batch = [this](std::mt19937& random) { return NextBatch(random); }},
          history_));
    }
    jobs_ = std::make_unique<JobUser>(farm_->ClientOf("tuner/jobs"), options_.jobs,
                                      options_.jobs_at_a_time);
    return absl::OkStatus();
  }

  Status StartTracker() {
    history_.Add({.act = Act::kRestart, .process = absl::StrCat("tracker:", ++tracker_life_)});
    return farm_->Start("tracker");
  }

  Status StartCrowd() {
    CrowdOptions crowd = {.tracker = farm_->ClientOf("admin/prober").tracker,
                          .target = target_,
                          .labels = {"made-up"},
                          .agents = options_.crowd,
                          .heartbeat = absl::Seconds(2),
                          .work = absl::Milliseconds(20)};
    for (int i = 0; i < options_.crowd; ++i) {
      const std::string tls = farm_->ClientOf(absl::StrCat("agent/crowd", i)).tls_dir;
      if (!tls.empty()) crowd.tls_dirs.push_back(tls);
    }
    const CrowdObserver observer = {
        .on_lease =
            [this](const std::string& life, const std::string& device, uint64_t epoch,
                   int64_t ttl_ms) {
              history_.Add({.act = Act::kLease,
                            .process = life,
                            .device = device,
                            .epoch = epoch,
                            .value = ttl_ms * 1'000'000});
            },
        .on_settled =
            [this](const std::string& life, const pb::ReportRequest& report,
                   pb::ReportOutcome outcome) {
              history_.Add({.act = Act::kReport,
                            .kind = Kind::kOk,
                            .process = life,
                            .batch = report.batch_id(),
                            .device = report.device(),
                            .epoch = report.epoch(),
                            .outcome = pb::ReportOutcome_Name(outcome)});
            }};
    HONE_ASSIGN_OR_RETURN(crowd_, AgentCrowd::Start(std::move(crowd), observer));
    return absl::OkStatus();
  }

  // Mostly for the crowd, which answers at once; else of a real kernel, one in ten a bad one.
  pb::Batch NextBatch(std::mt19937& random) const {
    if (random() % 5 != 0) {
      pb::Batch batch;
      batch.set_workload("workload/1 of the crowd");
      batch.set_target(target_);
      batch.set_numerics("fp32");
      batch.set_tool_version("test");
      batch.set_selector("made-up");
      batch.add_candidates()->set_schedule(absl::StrCat("schedule/1 ", random()));
      return batch;
    }
    const char* const kBad[] = {"wrong", "segfault", "hang", "unwritten"};
    pb::Batch batch = TestBatch({random() % 10 == 0 ? kBad[random() % 4] : "good"});
    batch.set_workload("workload/1 of real agents");
    batch.set_target(target_);
    batch.set_numerics("fp32");
    batch.set_tool_version("test");
    batch.set_selector("real");
    return batch;
  }

  // --- The storm

  void Storm(absl::Time deadline) {
    const absl::Duration between_samples = options_.time / kSamples;
    absl::Time next_fault = absl::Now() + options_.pause, next_sample = absl::Now();
    while (absl::Now() < deadline && (report_.kills < options_.kills || !options_.faults)) {
      DoWhatIsDue();
      farm_->ReapOrphans();
      StartWhatEnded();
      if (!options_.faults && absl::Now() >= next_sample) {
        Sample();
        next_sample = absl::Now() + between_samples;
      }
      if (options_.flaps && absl::Now() >= next_fault) {
        next_fault += options_.pause;
        if (KillTracker()) ++report_.faults["kill tracker"];
      } else if (options_.faults && absl::Now() >= next_fault) {
        Strike();
        std::exponential_distribution<double> pause(1 / absl::ToDoubleSeconds(options_.pause));
        next_fault = absl::Now() + absl::Seconds(pause(random_));
      }
      absl::SleepFor(kPoll);
    }
    if (!options_.faults) Sample();
  }

  // One schedule after another, until each agent that it cut off has measured something anew.
  Status CutLinks() {
    if (farm_->network() == nullptr) return absl::OkStatus();  // and said why
    HONE_ASSIGN_OR_RETURN(const auto client, FarmClient::Connect(farm_->ClientOf("tuner/links")));
    for (int i = 0; i < options_.link_schedules; ++i) {
      std::map<int, absl::Duration> ends;  // of a host's last cut
      const auto cuts = RandomLinkCuts(farm_->agents(), options_.fault_max, random_);
      for (const LinkCut& cut : cuts) ends[cut.host] = std::max(ends[cut.host], cut.end);
      for (const LinkCut& cut : cuts) {
        const std::string what = absl::StrCat("cut ", cut.host);
        const bool last = cut.end == ends[cut.host];
        At(cut.begin, what, [this, cut] { Sever(cut.host, cut.cut); });
        At(cut.end, what, [this, cut, last, &client] {
          Heal(cut.host);
          if (last) AskForWork(*client, cut.host);
        });
        ++report_.faults["cut a link"];
      }
      while (!later_.empty() || !cut_off_.empty()) {
        DoWhatIsDue();
        farm_->ReapOrphans();
        StartWhatEnded();
        HONE_RETURN_IF_ERROR(TakeRecovered(*client));
        absl::SleepFor(kPoll);
      }
      if ((i + 1) % 10 == 0) log_ << i + 1 << " schedules" << std::endl;
    }
    return absl::OkStatus();
  }

  // Of the agent on this host, whose link is there again.
  void AskForWork(FarmClient& client, int host) {
    const absl::Time healed = absl::Now();
    pb::Batch batch = TestBatch({"good"});
    batch.set_workload("workload/1 of real agents");
    batch.set_target(target_);
    batch.set_numerics("fp32");
    batch.set_tool_version("test");
    batch.set_selector(absl::StrCat("agent", host));
    const auto id = client.Submit(batch);
    if (!id.ok()) return Violated(std::string(id.status().message()));
    cut_off_[*id] = {host, healed};
  }

  // What they measured, as soon as it is there.
  Status TakeRecovered(FarmClient& client) {
    if (cut_off_.empty()) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(const auto results, client.WaitForResults(kLook));
    for (const pb::BatchResult& result : results) {
      const auto found = cut_off_.extract(result.batch_id());
      if (found.empty()) continue;
      const double took_s = absl::ToDoubleSeconds(absl::Now() - found.mapped().healed);
      report_.recovered_s.push_back(took_s);
      if (result.error().empty() && took_s <= kRecoveryMaxS) continue;
      // When, so that it can be found in the logs.
      Violated(absl::StrFormat(
          "agent%d, whose link was there again at %s, is back after %.1f s %s", found.mapped().host,
          absl::FormatTime("%H:%M:%SZ", found.mapped().healed, absl::UTCTimeZone()), took_s,
          result.error()));
    }
    std::erase_if(cut_off_, [&](const auto& entry) {
      const auto& [id, agent] = entry;
      if (absl::Now() < agent.healed + options_.calm) return false;
      Violated(absl::StrFormat("agent%d does not come back: %s; its log ends: %s", agent.host,
                               WhyWaiting(client, id),
                               LastLine(absl::StrCat("agent", agent.host))));
      return true;
    });
    return absl::OkStatus();
  }

  static std::string WhyWaiting(FarmClient& client, const std::string& batch_id) {
    pb::WhyRequest request;
    request.set_client_id(client.client_id());
    const auto why = client.Why(request);
    for (const pb::WhyEntry& entry : why.ok() ? why->entries() : pb::WhyReply().entries()) {
      if (entry.batch_id() == batch_id) {
        return absl::StrCat(pb::BatchState_Name(entry.state()), ", ", entry.why());
      }
    }
    return why.ok() ? "the tracker does not know its batch" : std::string(why.status().message());
  }

  void Strike() {
    int total = 0;
    for (const Fault& fault : kFaults) total += fault.weight;
    int at = Chance(total);
    const Fault* fault = kFaults;
    while (at >= fault->weight) at -= (fault++)->weight;
    const std::string agent = absl::StrCat("agent", Chance(farm_->agents()));
    const std::string daemon = absl::StrCat("daemon", Chance(farm_->daemons()));
    const absl::Duration length = Length();
    if (!options_.only.empty()) {
      fault = std::find_if(std::begin(kFaults), std::end(kFaults),
                           [&](const Fault& one) { return options_.only == one.name; });
    }
    bool done = false;
    switch (fault - kFaults) {
      case 0:
        done = KillTracker();
        break;
      case 1:
        done = Kill(agent);
        break;
      case 2:
        done = Counted(farm_->KillBelow(agent, "hone-worker", random_));
        break;
      case 3:
        done = Kill(daemon);
        break;
      case 4:
        done = Counted(farm_->KillBelow(daemon, "hone-", random_));
        break;
      case 5:
        crowd_->Reboot();
        done = true;
        break;
      case 6:
        done = CutLink(NumberOf(agent), length);
        break;
      case 7:
        done = StopAgent(agent, length);
        break;
      case 8:
        done = FillDisk(length);
        break;
    }
    if (done) ++report_.faults[fault->name];
  }

  bool Counted(bool killed) {
    report_.kills += killed ? 1 : 0;
    return killed;
  }

  bool KillTracker() {
    if (!Counted(farm_->Kill("tracker"))) return false;
    absl::SleepFor(absl::Milliseconds(Chance(300)));
    if (!StartTracker().ok()) return true;
    // Now and then once more, while it comes back.
    if (Chance(4) == 0) {
      absl::SleepFor(absl::Milliseconds(Chance(100)));
      Counted(farm_->Kill("tracker"));
      if (!StartTracker().ok()) return true;
    }
    const auto back = farm_->AwaitTracker(kPatience);
    if (back) report_.back_s.push_back(absl::ToDoubleSeconds(*back));
    // It cannot start while its disk is full; that is seen to when the disk is freed.
    if (!back && farm_->Runs("tracker")) Violated("the tracker does not come back");
    return true;
  }

  bool Kill(const std::string& name) {
    if (!Counted(farm_->Kill(name))) return false;
    At(absl::Milliseconds(Chance(1000)), "dead " + name, [this, name] {
      if (!farm_->Runs(name)) Start(name);
    });
    return true;
  }

  bool CutLink(int host, absl::Duration length) {
    const std::string what = absl::StrCat("cut ", host);
    if (farm_->network() == nullptr || Pending(what)) return false;
    Sever(host, static_cast<HostNetwork::Cut>(Chance(3)));
    At(length, what, [this, host] { Heal(host); });
    return true;
  }

  void Sever(int host, HostNetwork::Cut cut) {
    const Status status = farm_->network()->Sever(host, cut);
    if (!status.ok()) Violated(absl::StrCat("a link cannot be cut: ", status.message()));
  }

  void Heal(int host) {
    const Status status = farm_->network()->Heal(host);
    if (!status.ok()) Violated(absl::StrCat("a link cannot be healed: ", status.message()));
  }

  bool StopAgent(const std::string& name, absl::Duration length) {
    const std::string what = "stopped " + name;
    if (!farm_->Runs(name) || Pending(what)) return false;
    farm_->Signal(name, SIGSTOP);
    At(length, what, [this, name] { farm_->Signal(name, SIGCONT); });
    return true;
  }

  bool FillDisk(absl::Duration length) {
    if (farm_->disk() == nullptr || Pending("disk")) return false;
    farm_->disk()->Fill();
    At(length, "disk", [this] {
      farm_->disk()->Free();
      if (!farm_->Runs("tracker") && !StartTracker().ok()) Violated("the tracker cannot start");
    });
    return true;
  }

  // As the service manager of a host does.
  void StartWhatEnded() {
    for (const std::string& name : Names()) {
      if (name == "tracker" || farm_->Runs(name) || Pending("dead " + name)) continue;
      ++report_.restarted;
      Start(name);
    }
  }

  void Start(const std::string& name) {
    const Status status = farm_->Start(name);
    if (!status.ok()) Violated(absl::StrCat(name, " cannot be started: ", status.message()));
  }

  // --- Time and luck

  int Chance(int below) { return static_cast<int>(random_() % static_cast<uint32_t>(below)); }
  // Mostly short.
  absl::Duration Length() {
    const double share = std::uniform_real_distribution<double>(0, 1)(random_);
    return options_.fault_max * share * share;
  }
  void At(absl::Duration delay, const std::string& what, std::function<void()> act) {
    later_.push_back({absl::Now() + delay, what, std::move(act)});
  }
  bool Pending(const std::string& what) const {
    return std::any_of(later_.begin(), later_.end(),
                       [&](const Later& later) { return later.what == what; });
  }
  void DoWhatIsDue(bool all = false) {
    for (size_t i = 0; i < later_.size();) {
      if (!all && later_[i].when > absl::Now()) {
        ++i;
        continue;
      }
      const std::function<void()> act = std::move(later_[i].act);
      later_.erase(later_.begin() + static_cast<int64_t>(i));
      act();
    }
  }

  void Violated(const std::string& how) { report_.violations.push_back(how); }

  void Sample() {
    int64_t fetched = 0;
    for (const auto& user : users_) fetched += user->fetched();
    log_ << samples_.Take(*farm_, fetched) << std::endl;
  }

  // --- Calm

  void Calm() {
    jobs_->Finish();
    DoWhatIsDue(/*all=*/true);
    for (int i = 0; i < farm_->agents(); ++i) farm_->Signal(absl::StrCat("agent", i), SIGCONT);
    if (!farm_->Runs("tracker") && !StartTracker().ok()) Violated("the tracker cannot start");
    StartWhatEnded();
    history_.Add({.act = Act::kCalm});
    const absl::Time deadline = absl::Now() + options_.calm;
    for (const auto& user : users_) user->Finish();
    const auto all_done = [this] {
      return std::all_of(users_.begin(), users_.end(),
                         [](const auto& user) { return user->done(); });
    };
    absl::Time next_word = absl::Now() + kWord;
    while (!(all_done() && jobs_->ended()) && absl::Now() < deadline) {
      farm_->ReapOrphans();
      if (absl::Now() >= next_word) {
        SayWhatWaits();
        next_word += kWord;
      }
      for (const auto& name : Names()) {
        if (!farm_->Runs(name)) {
          Violated(absl::StrCat(name, " ended by itself; its log ends: ", LastLine(name)));
          Start(name);
        }
      }
      absl::SleepFor(kPoll);
    }
    if (!jobs_->ended()) Violated("a job does not end");
    jobs_->GiveUp();
    for (const auto& user : users_) {
      report_.submitted += user->submitted();
      report_.refused += user->refused();
      report_.cancelled += user->cancelled();
      report_.fetched += user->fetched();
      ours_.insert(user->client_id());
    }
    users_.clear();
    crowd_.reset();
    report_.jobs_done = jobs_->done();
    for (const std::string& trouble : jobs_->troubles()) Violated(trouble);
    for (const std::string& complaint : farm_->Stop()) Violated(complaint);
    for (const std::string& survivor : farm_->Survivors()) Violated("left behind: " + survivor);
  }

  void SayWhatWaits() {
    const auto client = FarmClient::Connect(farm_->ClientOf("admin/prober"));
    if (!client.ok()) return;
    for (const auto& user : users_) {
      pb::WhyRequest request;
      request.set_client_id(user->client_id());
      request.set_max(3);
      const auto why = (*client)->Why(request);
      for (const pb::WhyEntry& entry : why.ok() ? why->entries() : pb::WhyReply().entries()) {
        log_ << "calm: " << entry.batch_id() << " " << pb::BatchState_Name(entry.state()) << ": "
             << entry.why() << std::endl;
      }
    }
    if (!jobs_->ended()) log_ << "calm: a job goes on" << std::endl;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names = {"tracker"};
    for (int i = 0; i < farm_->agents(); ++i) names.push_back(absl::StrCat("agent", i));
    for (int i = 0; i < farm_->daemons(); ++i) names.push_back(absl::StrCat("daemon", i));
    return names;
  }

  std::string LastLine(const std::string& name) const {
    std::ifstream in(farm_->LogOf(name));
    std::string last;
    for (std::string line; std::getline(in, line);) last = line;
    return last;
  }

  void JudgeAll() {
    Evidence evidence = {.database = farm_->database(),
                         .tracker_log = farm_->LogOf("tracker"),
                         .told = &history_,
                         .clients = ours_};
    for (int i = 0; i < farm_->agents(); ++i) {
      evidence.agent_logs.push_back(farm_->LogOf(absl::StrCat("agent", i)));
    }
    report_.judgement = Judge(evidence);
    for (const std::string& violation : report_.judgement.violations) Violated(violation);
    for (const std::string& growth : samples_.Judge()) Violated(growth);
    if (!options_.flaps) return;
    if (report_.refused > 0) Violated(absl::StrCat(report_.refused, " batches were refused"));
    const double in_vain = static_cast<double>(report_.judgement.in_vain) /
                           static_cast<double>(std::max<int64_t>(1, report_.judgement.outcomes));
    if (in_vain > kInVainMax) {
      Violated(absl::StrFormat("%.2f %% of what was measured was measured in vain", 100 * in_vain));
    }
  }

  const ChaosOptions options_;
  std::unique_ptr<ChaosFarm> farm_;
  std::ostream& log_;
  std::mt19937 random_;
  ChaosReport report_;
  HistoryLog history_;
  std::string target_;  // of this machine
  std::unique_ptr<AgentCrowd> crowd_;
  std::vector<std::unique_ptr<FarmUser>> users_;
  std::unique_ptr<JobUser> jobs_;
  std::set<std::string> ours_;  // clients
  std::vector<Later> later_;
  // Of agents whose links were cut, and are there again: what they are to measure.
  struct CutOff {
    int host = 0;
    absl::Time healed;
  };
  std::map<std::string, CutOff> cut_off_;  // by batch
  int tracker_life_ = 0;
  SoakSamples samples_;
};

}  // namespace

std::string ChaosReport::ToString() const {
  std::string text = absl::StrFormat("%d kills in %.0f s:\n", kills, storm_s);
  for (const auto& [fault, count] : faults)
    absl::StrAppendFormat(&text, "  %5d %s\n", count, fault);
  for (const std::string& reason : skipped) absl::StrAppend(&text, "  SKIP ", reason, "\n");
  absl::StrAppendFormat(&text,
                        "%d batches submitted, %d cancelled, %d refused, %d results fetched\n",
                        submitted, cancelled, refused, fetched);
  absl::StrAppendFormat(&text,
                        "%d jobs tuned; %d programs ended by themselves and were started again\n",
                        jobs_done, restarted);
  absl::StrAppendFormat(&text,
                        "%d outcomes and %d records in the database; %d attempts measured in vain, "
                        "%d reports too late\n",
                        judgement.outcomes, judgement.records, judgement.in_vain, judgement.stale);
  if (!back_s.empty()) {
    absl::StrAppendFormat(&text,
                          "the tracker answered %.2f s after its start (median of %d), %.2f s at "
                          "the 99th percentile, %.2f s at most\n",
                          Percentile(back_s, 0.5), back_s.size(), Percentile(back_s, 0.99),
                          Percentile(back_s, 1));
  }
  if (!recovered_s.empty()) {
    absl::StrAppendFormat(&text,
                          "agents were at work again %.1f s after their links were there again "
                          "(median of %d), %.1f s at the 99th percentile, %.1f s at most\n",
                          Percentile(recovered_s, 0.5), recovered_s.size(),
                          Percentile(recovered_s, 0.99), Percentile(recovered_s, 1));
  }
  absl::StrAppendFormat(&text, "%d violations\n", violations.size());
  for (const std::string& violation : violations) absl::StrAppend(&text, "  ", violation, "\n");
  return text;
}

StatusOr<ChaosReport> RunChaos(const ChaosOptions& options, std::ostream& log) {
  std::vector<std::string> names = {""};
  for (const Fault& fault : kFaults) names.push_back(fault.name);
  if (std::find(names.begin(), names.end(), options.only) == names.end()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no fault '", options.only,
                                                   "'; there are:", absl::StrJoin(names, "\n  ")));
  }
  log << "chaos: seed " << options.seed << std::endl;
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<ChaosFarm> farm, ChaosFarm::Make(options.farm));
  return ChaosRound(options, std::move(farm), log).Run();
}

}  // namespace hone
