#include "tests/chaos/chaos_round.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "db/sqlite_record_store.h"
#include "rpc/tuning_client.h"
#include "tests/chaos/farm_user.h"
#include "tests/chaos/history_log.h"
#include "tests/chaos/store_history.h"
#include "tests/device_agent/agent_batches.h"
#include "tests/support/agent_crowd.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr int kSamples = 12;  // of a soak

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

// The words of events that a program logged, one a line; what a kill cut off is left out.
std::vector<nlohmann::json> EventsOf(const std::string& path, absl::string_view name) {
  std::vector<nlohmann::json> events;
  std::ifstream in(path);
  const std::string word = absl::StrCat("\"event\":\"", name, "\"");
  for (std::string line; std::getline(in, line);) {
    if (!absl::StrContains(line, word)) continue;
    nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) events.push_back(std::move(event));
  }
  return events;
}

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
    Storm(began + options_.time);
    report_.storm_s = absl::ToDoubleSeconds(absl::Now() - began);
    Calm();
    Judge();
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
    HONE_RETURN_IF_ERROR(StartCrowd());
    for (int i = 0; i < options_.users; ++i) {
      const std::string name = absl::StrCat("user", i);
      users_.push_back(std::make_unique<FarmUser>(
          FarmUserOptions{.name = name,
                          .farm = farm_->ClientOf("tuner/" + name),
                          .seed = options_.seed * 100 + static_cast<uint64_t>(i),
                          .batches_per_s = options_.batches_per_s,
                          .next_batch = [this](std::mt19937& random) { return NextBatch(random); }},
          history_));
    }
    jobs_thread_ = std::thread([this, farm = farm_->ClientOf("tuner/jobs")] { TuneJobs(farm); });
    return absl::OkStatus();
  }

  Status StartTracker() {
    history_.Add({.act = Act::kRestart, .process = absl::StrCat("tracker:", ++tracker_life_)});
    return farm_->Start("tracker");
  }

  Status StartCrowd() {
    CrowdOptions crowd = {.tracker = farm_->ClientOf("admin/prober").tracker,
                          .target = TestBatch({}).target(),
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
      batch.set_target(TestBatch({}).target());
      batch.set_numerics("fp32");
      batch.set_selector("made-up");
      batch.add_candidates()->set_schedule(absl::StrCat("schedule/1 ", random()));
      return batch;
    }
    const char* const kBad[] = {"wrong", "segfault", "hang", "unwritten"};
    pb::Batch batch = TestBatch({random() % 10 == 0 ? kBad[random() % 4] : "good"});
    batch.set_workload("workload/1 of real agents");
    batch.set_numerics("fp32");
    batch.set_selector("real");
    return batch;
  }

  // --- Jobs, one after another

  void TuneJobs(const FarmClientOptions& farm) {
    TuneEach(farm);
    jobs_ended_ = true;
  }
  void TuneEach(const FarmClientOptions& farm) {
    const auto client = TuningClient::Connect(farm.tracker, farm.tls_dir);
    if (!client.ok()) {
      job_trouble_.push_back(client.status().ToString());
      return;
    }
    for (int i = 0; i < options_.jobs && !storm_over_; ++i) {
      const int size = 24 + 8 * (i % 16);
      pb::JobSpec spec;
      spec.set_workload(absl::StrFormat(
          "workload/1\ninput x f32 [%1$d,%1$d]\nconstant w f32 [%1$d,%1$d]\noutput y f32 "
          "[%1$d,%1$d]\nstage y f32 [m:%1$d,n:%1$d] sum [k:%1$d] = x[m,k]*w[k,n]\n",
          size));
      spec.set_numerics("fp32");
      spec.set_device("real");
      spec.set_trials(4 + i / 16);
      spec.set_user("jobs");
      spec.set_threads(1);
      StatusOr<pb::Job> job = (*client)->Submit(spec, "");
      while (!job.ok() && !give_up_) {
        absl::SleepFor(absl::Milliseconds(200));
        job = (*client)->Submit(spec, "");
      }
      if (!job.ok()) break;
      const int64_t id = job->id();
      do {
        job = (*client)->Watch(
            id, kPatience, [this] { return give_up_.load(); }, [](const pb::Job&) {});
      } while (!job.ok() && !give_up_);
      if (job.ok() && job->phase() == pb::JOB_DONE) {
        ++jobs_done_;
      } else {
        job_trouble_.push_back(absl::StrCat(
            "job ", id, ": ",
            job.ok() ? absl::StrCat(pb::JobPhase_Name(job->phase()), ": ", job->reason())
                     : job.status().ToString()));
      }
    }
  }

  // --- The storm

  void Storm(absl::Time deadline) {
    const absl::Duration between_samples = options_.time / kSamples;
    absl::Time next_fault = absl::Now() + options_.pause, next_sample = absl::Now();
    while (absl::Now() < deadline && (report_.kills < options_.kills || !options_.faults)) {
      DoWhatIsDue();
      farm_->ReapOrphans();
      if (!options_.faults && absl::Now() >= next_sample) {
        Sample();
        next_sample = absl::Now() + between_samples;
      }
      if (options_.faults && absl::Now() >= next_fault) {
        Strike();
        std::exponential_distribution<double> pause(1 / absl::ToDoubleSeconds(options_.pause));
        next_fault = absl::Now() + absl::Seconds(pause(random_));
      }
      absl::SleepFor(kPoll);
    }
    if (!options_.faults) Sample();
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
    const auto cut = static_cast<HostNetwork::Cut>(Chance(3));
    if (const Status status = farm_->network()->Sever(host, cut); !status.ok()) {
      Violated(absl::StrCat("a link cannot be cut: ", status.message()));
    }
    At(length, what, [this, host] {
      const Status status = farm_->network()->Heal(host);
      if (!status.ok()) Violated(absl::StrCat("a link cannot be healed: ", status.message()));
    });
    return true;
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

  // --- A soak

  struct Use {
    ProcessUse process;
    int64_t database_bytes = 0;
    int64_t fetched = 0;
    double seconds = 0;
  };

  void Sample() {
    if (samples_.empty()) soak_began_ = absl::Now();
    std::map<std::string, Use>& sample = samples_.emplace_back();
    int64_t fetched = 0;
    for (const auto& user : users_) fetched += user->fetched();
    for (const std::string& name : {"tracker", "agent0", "daemon0"}) {
      sample[name] = {.process = UseOf(farm_->PidOf(name)),
                      .database_bytes = farm_->DatabaseBytes(),
                      .fetched = fetched,
                      .seconds = absl::ToDoubleSeconds(absl::Now() - soak_began_)};
    }
    std::string line =
        absl::StrFormat("%7.0f s %9d batches, database %6.1f MiB", sample["tracker"].seconds,
                        fetched, static_cast<double>(farm_->DatabaseBytes()) / (1 << 20));
    for (const auto& [name, use] : sample) {
      absl::StrAppendFormat(&line, " | %s %6.1f MiB, %3d fds, %3d threads, %5.1f s", name,
                            static_cast<double>(use.process.rss_bytes) / (1 << 20),
                            use.process.descriptors, use.process.threads, use.process.cpu_s);
    }
    log_ << line << std::endl;
    report_.uses.push_back(std::move(line));
  }

  // From a third of the way on, when all is warm, nothing may grow but the database, and that only
  // as what it holds does.
  void JudgeSamples() {
    if (samples_.size() < 4) return;
    std::map<std::string, Use>& warm = samples_[samples_.size() / 3];
    for (const auto& [name, last] : samples_.back()) {
      const Use& first = warm[name];
      const auto more = [&, who = name](const char* what, double from, double to, double slack) {
        if (to <= from + slack) return;
        Violated(absl::StrFormat("%s of %s grew from %.0f to %.0f", what, who, from, to));
      };
      more("memory (KiB)", static_cast<double>(first.process.rss_bytes) / 1024,
           static_cast<double>(last.process.rss_bytes) / 1024,
           16 * 1024 + 0.1 * static_cast<double>(first.process.rss_bytes) / 1024);
      more("descriptors", static_cast<double>(first.process.descriptors),
           static_cast<double>(last.process.descriptors), 8);
      more("threads", static_cast<double>(first.process.threads),
           static_cast<double>(last.process.threads), 4);
    }
    const Use &first = warm["tracker"], &last = samples_.back()["tracker"];
    const auto bytes_a_batch = [](const Use& use) {
      return static_cast<double>(use.database_bytes) /
             std::max<double>(1, static_cast<double>(use.fetched));
    };
    if (bytes_a_batch(last) > 1.25 * bytes_a_batch(first)) {
      Violated(absl::StrFormat("the database has %.0f bytes a batch, and had %.0f",
                               bytes_a_batch(last), bytes_a_batch(first)));
    }
  }

  // --- Calm

  void Calm() {
    storm_over_ = true;
    DoWhatIsDue(/*all=*/true);
    for (int i = 0; i < farm_->agents(); ++i) farm_->Signal(absl::StrCat("agent", i), SIGCONT);
    if (!farm_->Runs("tracker") && !StartTracker().ok()) Violated("the tracker cannot start");
    history_.Add({.act = Act::kCalm});
    const absl::Time deadline = absl::Now() + options_.calm;
    for (const auto& user : users_) user->Finish();
    const auto all_done = [this] {
      return std::all_of(users_.begin(), users_.end(),
                         [](const auto& user) { return user->done(); });
    };
    while (!(all_done() && jobs_ended_) && absl::Now() < deadline) {
      farm_->ReapOrphans();
      for (const auto& name : Names()) {
        if (!farm_->Runs(name)) {
          Violated(absl::StrCat(name, " ended by itself; its log ends: ", LastLine(name)));
          Start(name);
        }
      }
      absl::SleepFor(kPoll);
    }
    give_up_ = true;
    if (!jobs_ended_) Violated("a job does not end");
    jobs_thread_.join();
    for (const auto& user : users_) {
      report_.submitted += user->submitted();
      report_.refused += user->refused();
      report_.cancelled += user->cancelled();
      report_.fetched += user->fetched();
      ours_.insert(user->client_id());
    }
    users_.clear();
    crowd_.reset();
    report_.jobs_done = jobs_done_;
    for (const std::string& trouble : job_trouble_) Violated(trouble);
    for (const std::string& complaint : farm_->Stop()) Violated(complaint);
    for (const std::string& survivor : farm_->Survivors()) Violated("left behind: " + survivor);
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

  // --- Judgement

  void Judge() {
    const auto store = ReadStoreHistory(farm_->database());
    if (!store.ok()) {
      Violated(absl::StrCat("the database cannot be read: ", store.status().message()));
      return;
    }
    report_.outcomes = store->outcomes;
    report_.records = store->records;
    for (const std::string& how : store->contradictions) Violated(how);
    Invariants invariants;
    for (HistoryEvent& event : Merge(*store)) invariants.See(event);
    invariants.CheckEnd();
    const auto records = SqliteRecordStore::Open({.path = farm_->database()});
    if (records.ok()) {
      invariants.CheckStore(**records);
    } else {
      Violated(absl::StrCat("the database cannot be opened: ", records.status().message()));
    }
    for (const std::string& violation : invariants.violations()) Violated(violation);
    report_.stale = static_cast<int64_t>(EventsOf(farm_->LogOf("tracker"), "report.stale").size());
    JudgeSamples();
  }

  // Under which epochs a device reported a batch, as the agents say themselves.
  std::map<std::pair<std::string, std::string>, std::set<uint64_t>> ReportedEpochs() const {
    std::map<std::pair<std::string, std::string>, std::set<uint64_t>> epochs;
    for (int i = 0; i < farm_->agents(); ++i) {
      for (const nlohmann::json& event :
           EventsOf(farm_->LogOf(absl::StrCat("agent", i)), "batch.measured")) {
        epochs[{event.value("batch", ""), event.value("device", "")}].insert(
            event.value("epoch", uint64_t{0}));
      }
    }
    for (const HistoryEvent& event : history_.events()) {
      if (event.act == Act::kReport) epochs[{event.batch, event.device}].insert(event.epoch);
    }
    return epochs;
  }

  // What everybody saw, in the order of time, as the invariants take it.
  std::vector<HistoryEvent> Merge(const StoreHistory& store) const {
    const auto reported = ReportedEpochs();
    std::vector<HistoryEvent> merged;
    for (HistoryEvent event : store.events) {
      if (event.act == Act::kCommit) {
        // Only what our own users asked for: a tuning job's batches have many candidates.
        const size_t dash = event.batch.rfind('-');
        if (!ours_.contains(event.batch.substr(0, dash))) continue;
        const auto epochs = reported.find({event.batch, event.device});
        if (epochs != reported.end() && !epochs->second.contains(event.epoch)) {
          event.epoch = *epochs->second.rbegin();
        }
      }
      merged.push_back(std::move(event));
    }
    // The store's times are those of the beginning of a transaction, in whole milliseconds: where
    // they are the same, it was first.
    for (const HistoryEvent& event : history_.events()) merged.push_back(event);
    std::stable_sort(
        merged.begin(), merged.end(),
        [](const HistoryEvent& a, const HistoryEvent& b) { return a.time_ns < b.time_ns; });
    // Orders that came late say nothing of the lease of now.
    std::map<std::string, uint64_t> safe;
    std::erase_if(merged, [&](const HistoryEvent& event) {
      if (event.act == Act::kEpoch) safe[event.device] = event.epoch;
      return event.act == Act::kLease && event.epoch < safe[event.device];
    });
    return merged;
  }

  const ChaosOptions options_;
  std::unique_ptr<ChaosFarm> farm_;
  std::ostream& log_;
  std::mt19937 random_;
  ChaosReport report_;
  HistoryLog history_;
  std::unique_ptr<AgentCrowd> crowd_;
  std::vector<std::unique_ptr<FarmUser>> users_;
  std::set<std::string> ours_;  // clients
  std::vector<Later> later_;
  int tracker_life_ = 0;
  std::vector<std::map<std::string, Use>> samples_;
  absl::Time soak_began_;

  std::atomic<bool> storm_over_ = false, give_up_ = false, jobs_ended_ = false;
  std::atomic<int64_t> jobs_done_ = 0;
  std::vector<std::string> job_trouble_;  // of the jobs' thread until it has ended
  std::thread jobs_thread_;
};

}  // namespace

std::string ChaosReport::ToString() const {
  std::string text = absl::StrFormat("%d kills in %.0f s:\n", kills, storm_s);
  for (const auto& [fault, count] : faults)
    absl::StrAppendFormat(&text, "  %5d %s\n", count, fault);
  for (const std::string& reason : skipped) absl::StrAppend(&text, "  SKIP ", reason, "\n");
  absl::StrAppendFormat(
      &text,
      "%d batches submitted, %d cancelled, %d refused, %d results fetched; %d jobs "
      "tuned; %d outcomes and %d records in the database; %d reports came too "
      "late\n",
      submitted, cancelled, refused, fetched, jobs_done, outcomes, records, stale);
  if (!back_s.empty()) {
    absl::StrAppendFormat(&text,
                          "the tracker answered %.2f s after its start (median of %d), %.2f s at "
                          "the 99th percentile, %.2f s at most\n",
                          Percentile(back_s, 0.5), back_s.size(), Percentile(back_s, 0.99),
                          Percentile(back_s, 1));
  }
  absl::StrAppendFormat(&text, "%d violations\n", violations.size());
  for (const std::string& violation : violations) absl::StrAppend(&text, "  ", violation, "\n");
  return text;
}

StatusOr<ChaosReport> RunChaos(const ChaosOptions& options, std::ostream& log) {
  log << "chaos: seed " << options.seed << std::endl;
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<ChaosFarm> farm, ChaosFarm::Make(options.farm));
  return ChaosRound(options, std::move(farm), log).Run();
}

}  // namespace hone
