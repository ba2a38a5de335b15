// Searches tried on records, without a device: how many trials it takes to come within 10 and 5 %
// of the best that is known of each kernel, from nothing and with what another database knows. For
// people who work on the search.
//
//   hone tune MODEL --random --trials 480 --db KNOWN    records a part of the space, at random
//   search_study KNOWN [WARM]
//
// The space is cut down to what KNOWN has of it, so KNOWN has to be recorded again when the derived
// spaces change. Each kernel is a session of its own, once a seed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "db/sqlite_record_store.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/measure/replay_measurer.h"
#include "tuner/tuning_session.h"

namespace hone {
namespace {

constexpr int kSeeds = 5;
constexpr int kTrialsMax = 64;
constexpr size_t kRecordsMin = 200;  // of a kernel, that it is studied

// Trials until the first within `share` of the best known; kTrialsMax + 1 when none was.
int TrialsTo(const std::vector<Trial>& trials, double best_ns, double share) {
  for (size_t t = 0; t < trials.size(); ++t) {
    if (trials[t].cost_ns > 0 && trials[t].cost_ns * share <= best_ns) {
      return static_cast<int>(t) + 1;
    }
  }
  return kTrialsMax + 1;
}

double Mean(const std::vector<int>& values) {
  double sum = 0;
  for (int value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

int Median(std::vector<int> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Outcome {
  std::vector<int> to_90;
  std::vector<int> to_95;
  std::vector<int> to_98;
  std::vector<int> trials;    // when it ended
  std::vector<int> builds;    // that these took, the duel's included
  std::vector<double> share;  // of the best known, that was found
  void Add(const Outcome& other) {
    to_90.insert(to_90.end(), other.to_90.begin(), other.to_90.end());
    to_95.insert(to_95.end(), other.to_95.begin(), other.to_95.end());
    to_98.insert(to_98.end(), other.to_98.begin(), other.to_98.end());
    trials.insert(trials.end(), other.trials.begin(), other.trials.end());
    builds.insert(builds.end(), other.builds.begin(), other.builds.end());
    share.insert(share.end(), other.share.begin(), other.share.end());
  }
};

std::string Describe(const Outcome& outcome) {
  double share = 0;
  for (double each : outcome.share) {
    share += std::log(each) / static_cast<double>(outcome.share.size());
  }
  return absl::StrFormat(
      "%d to 90 %%, %d to 95 %% (mean %.1f), %d to 98 %% (mean %.1f); ends after %d at %.1f %%; "
      "%.2f builds a trial",
      Median(outcome.to_90), Median(outcome.to_95), Mean(outcome.to_95), Median(outcome.to_98),
      Mean(outcome.to_98), Median(outcome.trials), 100 * std::exp(share),
      Mean(outcome.builds) / Mean(outcome.trials));
}

// What KNOWN has of one workload.
struct Subject {
  TuningTask task;
  Target target;
  pb::CoreSpeed speed;
  Numerics numerics = Numerics::kFp32;
  bool cold_constants = false;
  std::set<std::string> schedules;
  double best_ns = 0;  // of a trial: duels are measured longer, and no search sees them
};

// The layouts of which BoundaryLayoutText made this text.
StatusOr<std::vector<Layout>> LayoutsFrom(absl::string_view text, const Workload& workload) {
  std::vector<Layout> layouts;
  for (const Buffer& buffer : workload.buffers) {
    layouts.push_back(Layout::Identity(static_cast<int>(buffer.shape.size())));
    for (absl::string_view each : absl::StrSplit(text, ';', absl::SkipEmpty())) {
      if (!absl::ConsumePrefix(&each, absl::StrCat(buffer.name, " "))) continue;
      HONE_ASSIGN_OR_RETURN(layouts.back(), Layout::Parse(each));
    }
  }
  return layouts;
}

// One of each workload, target, class, and way to measure, in the order of their first record.
StatusOr<std::vector<Subject>> SubjectsOf(const std::vector<pb::Record>& records) {
  std::vector<Subject> subjects;
  std::map<std::string, size_t> index;
  for (const pb::Record& record : records) {
    const pb::Measurement& measurement = record.measurement();
    const std::string name =
        absl::StrCat(record.workload_key(), "|", record.target(), "|", record.numerics(), "|",
                     record.layouts(), "|", measurement.cold_constants());
    const auto [it, is_new] = index.emplace(name, subjects.size());
    if (is_new) {
      Subject subject;
      HONE_ASSIGN_OR_RETURN(subject.task.workload, Workload::Parse(record.workload()));
      HONE_ASSIGN_OR_RETURN(subject.task.layouts,
                            LayoutsFrom(record.layouts(), subject.task.workload));
      HONE_ASSIGN_OR_RETURN(subject.target, Target::Parse(record.target()));
      HONE_ASSIGN_OR_RETURN(subject.numerics, ParseNumerics(record.numerics()));
      subject.task.calls = 1;
      subject.speed = record.speed();
      subject.cold_constants = measurement.cold_constants();
      subjects.push_back(std::move(subject));
    }
    Subject& subject = subjects[it->second];
    subject.schedules.insert(record.schedule());
    if (measurement.failure() != pb::OK || record.origin() == kDuelOrigin) continue;
    if (subject.best_ns == 0 || measurement.cost_ns() < subject.best_ns) {
      subject.best_ns = measurement.cost_ns();
    }
  }
  return subjects;
}

// One session, with what `history` knows; null: nothing.
Status Search(const Subject& subject, const std::vector<pb::Record>& records,
              const RecordStore* history, uint64_t seed, Outcome* outcome) {
  TuningOptions options;
  options.target = subject.target;
  options.speed = subject.speed;
  options.numerics = subject.numerics;
  options.trials_max = kTrialsMax;
  options.seed = seed;
  options.model_constant_bytes = subject.cold_constants ? std::numeric_limits<int64_t>::max() : 0;
  options.search.admits = [&](const std::string& schedule) {
    return subject.schedules.count(schedule) > 0;
  };
  ReplayMeasurer measurer(records, {});
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  const SystemClock clock;
  TuningSession session({subject.task}, options, *model, ReplayBuilds(), measurer, history, clock);
  HONE_RETURN_IF_ERROR(session.Run([&] { return measurer.ended(); }, [](const TuningState&) {}));
  const std::vector<Trial>& trials = session.state().workloads[0].trials;
  double found_ns = std::numeric_limits<double>::infinity();
  for (const Trial& trial : trials) {
    if (trial.cost_ns > 0) found_ns = std::min(found_ns, trial.cost_ns);
  }
  outcome->to_90.push_back(TrialsTo(trials, subject.best_ns, 0.90));
  outcome->to_95.push_back(TrialsTo(trials, subject.best_ns, 0.95));
  outcome->to_98.push_back(TrialsTo(trials, subject.best_ns, 0.98));
  outcome->trials.push_back(static_cast<int>(trials.size()));
  outcome->builds.push_back(static_cast<int>(session.state().builds));
  outcome->share.push_back(subject.best_ns / found_ns);
  return absl::OkStatus();
}

Status Study(const std::string& known_file, const std::string& warm_file) {
  HONE_ASSIGN_OR_RETURN(const auto known, SqliteRecordStore::Open({.path = known_file}));
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records, known->Query({}));
  HONE_ASSIGN_OR_RETURN(const std::vector<Subject> subjects, SubjectsOf(records));
  std::vector<std::pair<std::string, const RecordStore*>> histories = {{"from nothing", nullptr}};
  std::unique_ptr<SqliteRecordStore> warm;
  if (!warm_file.empty()) {
    HONE_ASSIGN_OR_RETURN(warm, SqliteRecordStore::Open({.path = warm_file}));
    histories.emplace_back("warm", warm.get());
  }
  std::map<std::string, Outcome> all;
  for (const Subject& subject : subjects) {
    if (subject.schedules.size() < kRecordsMin || subject.best_ns == 0) continue;
    std::printf("%s%zu candidates known, the best %.1f us\n",
                subject.task.workload.ToString().c_str(), subject.schedules.size(),
                subject.best_ns / 1e3);
    for (const auto& [name, history] : histories) {
      Outcome outcome;
      for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
        HONE_RETURN_IF_ERROR(Search(subject, records, history, seed, &outcome));
      }
      std::printf("  %-13s %s\n", name.c_str(), Describe(outcome).c_str());
      std::fflush(stdout);
      all[name].Add(outcome);
    }
  }
  for (const auto& [name, outcome] : all) {
    std::printf("all, %s: %s\n", name.c_str(), Describe(outcome).c_str());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: search_study KNOWN.db [WARM.db]\n");
    return 2;
  }
  const hone::Status status = hone::Study(argv[1], argc > 2 ? argv[2] : "");
  if (status.ok()) return 0;
  std::fprintf(stderr, "search_study: %s\n", std::string(status.message()).c_str());
  return 1;
}
