#include "tuner/transfer/recorded_knowledge.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/numerics.h"
#include "base/target.h"
#include "compiler/schedule/schedule.h"
#include "tuner/features/features.h"

namespace hone {
namespace {

// Turns records of one workload on one device into rows.
class RowMaker {
 public:
  static StatusOr<std::unique_ptr<RowMaker>> For(const std::string& workload_text,
                                                 const std::string& target_text,
                                                 const pb::CoreSpeed& speed) {
    HONE_ASSIGN_OR_RETURN(const Workload workload, Workload::Parse(workload_text));
    HONE_ASSIGN_OR_RETURN(Target target, Target::Parse(target_text));
    return std::unique_ptr<RowMaker>(new RowMaker(workload, std::move(target), speed));
  }

  // False for a schedule that cannot be applied: it may be of another version.
  bool Add(const std::string& schedule_text, double cost_ns) {
    const StatusOr<Schedule> schedule = Schedule::Parse(schedule_text, "record");
    if (!schedule.ok()) return false;
    const StatusOr<LoopNest> nest = series_.Apply(*schedule);
    if (!nest.ok()) return false;
    const NestFacts facts = analyzer_.Analyze(*nest);
    const PriorCost cost = EstimateCost(facts, target_, profile_);
    if (!(cost.total_ns > 0)) return false;
    features_.push_back(FeaturesOf(facts, cost, target_, profile_));
    logs_.push_back(std::log(cost_ns / cost.total_ns));
    return true;
  }

  // Adds the rows, centred.
  void AppendTo(TrainingSet* set) const {
    if (logs_.empty()) return;
    std::vector<double> sorted = logs_;
    std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
    const double median = sorted[sorted.size() / 2];
    for (size_t i = 0; i < logs_.size(); ++i) {
      set->features.push_back(features_[i]);
      set->residuals.push_back(static_cast<float>(std::clamp(logs_[i] - median, -3.0, 3.0)));
    }
  }

 private:
  RowMaker(const Workload& workload, Target target, const pb::CoreSpeed& speed)
      : target_(std::move(target)),
        profile_(MachineProfile::For(target_, speed)),
        series_(workload),
        analyzer_(target_) {}

  const Target target_;
  const MachineProfile profile_;
  ScheduleSeries series_;
  NestAnalyzer analyzer_;
  std::vector<std::vector<float>> features_;
  std::vector<double> logs_;
};

}  // namespace

const RecordedKnowledge::Known* RecordedKnowledge::Group::Best() const {
  if (found) return &*found;
  // As the database judges: what was in a duel before the rest, then the fastest.
  const auto best =
      std::min_element(known.begin(), known.end(), [](const Known& a, const Known& b) {
        return std::pair(!a.finalist, a.cost_ns) < std::pair(!b.finalist, b.cost_ns);
      });
  return best == known.end() ? nullptr : &*best;
}

RecordedKnowledge::Group& RecordedKnowledge::GroupOf(const RecordKey& key,
                                                     const std::string& workload_text,
                                                     const std::string& layouts,
                                                     bool cold_constants) {
  const std::string name = absl::StrCat(key.workload_key, "|", key.target, "|", key.numerics, "|",
                                        layouts, "|", cold_constants);
  const auto [it, is_new] = index_.emplace(name, groups_.size());
  if (is_new) {
    groups_.push_back({key,
                       workload_text,
                       layouts,
                       cold_constants,
                       {},
                       OutlineOf(workload_text),
                       {},
                       std::nullopt});
  }
  return groups_[it->second];
}

StatusOr<RecordedKnowledge> RecordedKnowledge::Read(const RecordStore& store, int codegen_epoch) {
  RecordFilter filter;
  filter.codegen_epoch = codegen_epoch;
  filter.failure = pb::OK;
  filter.newest_first = true;
  filter.limit = kRecordsMax;
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records, store.Query(filter));
  RecordedKnowledge knowledge;
  for (const pb::Record& record : records) {
    if (record.measurement().held_back()) continue;  // its time says more of the moment than of it
    const RecordKey key{record.workload_key(), record.target(), record.numerics(), codegen_epoch};
    Group& group = knowledge.GroupOf(key, record.workload(), record.layouts(),
                                     record.measurement().cold_constants());
    group.known.push_back(
        {record.schedule(), record.measurement().cost_ns(), record.measurement().finalist()});
    // The newest that says so.
    if (record.has_speed() && group.speed.peak_gflops() == 0) group.speed = record.speed();
  }
  return knowledge;
}

void RecordedKnowledge::Add(const RecordKey& key, const std::string& workload_text,
                            const std::string& layouts, bool cold_constants,
                            const std::string& schedule, double cost_ns) {
  GroupOf(key, workload_text, layouts, cold_constants).found = Known{schedule, cost_ns, false};
}

pb::CoreSpeed RecordedKnowledge::SpeedOf(absl::string_view target) const {
  pb::CoreSpeed speed;
  for (const Group& group : groups_) {
    if (group.key.target == target) RaiseTo(group.speed, &speed);
  }
  return speed;
}

TrainingSet RecordedKnowledge::Rows(int limit) const {
  // How many of each group: one more of each that has more, in turn, until there are enough.
  std::vector<size_t> share(groups_.size(), 0);
  int taken = 0;
  for (bool more = true; more && taken < limit;) {
    more = false;
    for (size_t g = 0; g < groups_.size() && taken < limit; ++g) {
      if (share[g] == groups_[g].known.size()) continue;
      ++share[g];
      ++taken;
      more = true;
    }
  }
  TrainingSet set;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const auto maker = RowMaker::For(groups_[g].workload, groups_[g].key.target, groups_[g].speed);
    if (!maker.ok()) continue;
    for (size_t i = 0; i < share[g]; ++i) {
      (*maker)->Add(groups_[g].known[i].schedule, groups_[g].known[i].cost_ns);
    }
    (*maker)->AppendTo(&set);
  }
  return set;
}

std::vector<Advice> RecordedKnowledge::AdviceFor(const RecordKey& key,
                                                 const std::string& workload_text,
                                                 const std::string& layouts,
                                                 bool cold_constants) const {
  const WorkloadOutline outline = OutlineOf(workload_text);
  std::set<std::string> classes;
  if (const StatusOr<Numerics> numerics = ParseNumerics(key.numerics); numerics.ok()) {
    for (Numerics within : ClassesWithin(*numerics)) classes.emplace(NumericsName(within));
  }
  // Least first; the second: constants that were not as cold, or as warm, as wanted.
  using Rank = std::pair<double, bool>;
  const Group* other_device = nullptr;
  const Group* other_class = nullptr;
  std::vector<std::pair<Rank, const Group*>> neighbours;
  for (const Group& group : groups_) {
    if (classes.count(group.key.numerics) == 0 || group.Best() == nullptr) continue;
    const bool same_workload = group.key.workload_key == key.workload_key;
    const bool same_target = group.key.target == key.target;
    const bool otherwise_cold = group.cold_constants != cold_constants;
    if (same_workload && group.layouts == layouts &&
        (!same_target || group.key.numerics != key.numerics)) {
      const Group*& other = same_target ? other_class : other_device;
      const bool is_better =
          other == nullptr || (!otherwise_cold && other->cold_constants != cold_constants);
      if (is_better) other = &group;
    }
    if (same_workload || !same_target) continue;
    const std::optional<double> distance = DistanceBetween(outline, group.outline);
    if (distance) neighbours.emplace_back(Rank(*distance, otherwise_cold), &group);
  }
  std::stable_sort(neighbours.begin(), neighbours.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Advice> advice;
  if (other_device != nullptr) {
    advice.push_back({other_device->Best()->schedule, "other device"});
  }
  if (other_class != nullptr) advice.push_back({other_class->Best()->schedule, "other class"});
  std::set<std::pair<std::string, std::string>> taken;  // workloads and layouts
  for (const auto& [rank, group] : neighbours) {
    if (taken.size() == kNeighboursMax) break;
    if (!taken.emplace(group->key.workload_key, group->layouts).second) continue;
    const bool is_epilogue = DifferInEpilogue(outline, group->outline);
    advice.push_back({group->Best()->schedule, is_epilogue ? "epilogue" : "neighbour"});
  }
  return advice;
}

}  // namespace hone
