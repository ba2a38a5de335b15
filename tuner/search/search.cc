// Each batch after the first mixes four sources: the model's favourites (a half), single steps from
// the best so far (a quarter), combinations of two good candidates, and a little chance. A source
// that has nothing left leaves its share to the model.
#include "tuner/search/search.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tuner/features/features.h"

namespace hone {
namespace {

constexpr double kModelShare = 0.5;
constexpr double kLocalShare = 0.25;
constexpr double kCrossoverShare = 0.15;
constexpr double kGain = 0.99;  // a new best is one below this share of the old
constexpr double kFailureFactor = 4;

// Register tile and structure: candidates of one stratum differ in blocking only.
std::string StratumOf(const EstimatedCandidate& candidate) {
  std::string key = std::to_string(candidate.sketch);
  for (const StageFacts& stage : candidate.facts.stages) {
    if (!stage.microkernel) continue;
    key += ":" + std::to_string(std::lround(stage.vectors)) + "x" +
           std::to_string(std::lround(stage.rows));
  }
  return key;
}

}  // namespace

int BatchSize(int trials) { return trials < 16 ? 8 : 16; }

Search::Search(const Workload& workload, std::vector<Sketch> sketches, const Target& target,
               const MachineProfile& profile, const SearchOptions& options)
    : workload_(workload),
      sketches_(std::move(sketches)),
      target_(target),
      profile_(profile),
      options_(options),
      random_(options.seed) {
  std::vector<EstimatedCandidate> candidates =
      EstimateCandidates(workload, sketches_, target, profile, options.pool_limit);
  least_flops_ = LeastFlops(workload, candidates);
  MoveRoofline(profile);
  for (EstimatedCandidate& candidate : candidates) {
    Entry entry;
    entry.features = FeaturesOf(candidate.facts, candidate.cost, target);
    entry.candidate = std::move(candidate);
    index_[{entry.candidate.sketch, entry.candidate.assignment}] = static_cast<int>(pool_.size());
    pool_.push_back(std::move(entry));
    // Two sketches may give one schedule; it is tried once.
    const int added = static_cast<int>(pool_.size()) - 1;
    if (!by_text_.emplace(ScheduleText(added), added).second) {
      pool_.back().proposed = true;
    }
  }
}

void Search::MoveRoofline(const MachineProfile& profile) {
  roofline_ = RooflineOf(workload_, least_flops_, target_, profile);
}

const std::string& Search::ScheduleText(int candidate) const {
  return pool_[candidate].candidate.schedule;
}

double Search::PredictedNs(int candidate) const { return pool_[candidate].candidate.cost.total_ns; }

double Search::CostNs(int candidate) const { return pool_[candidate].cost_ns.value_or(0); }

bool Search::IsFree(int candidate) const {
  return !pool_[candidate].proposed && !pool_[candidate].observed;
}

// The standard's distributions differ between libraries; a remainder does not.
uint64_t Search::Random(uint64_t below) { return below == 0 ? 0 : random_() % below; }

void Search::Take(int candidate, absl::string_view origin, std::vector<Proposal>* proposals) {
  pool_[candidate].proposed = true;
  proposals->push_back({candidate, std::string(origin)});
}

int Search::Find(int sketch, const Assignment& assignment) const {
  auto it = index_.find({sketch, assignment});
  return it == index_.end() ? -1 : it->second;
}

std::vector<int> Search::Neighbours(int candidate) const {
  std::vector<int> neighbours;
  const EstimatedCandidate& at = pool_[candidate].candidate;
  if (at.sketch < 0) return neighbours;
  const std::vector<Hole>& holes = sketches_[at.sketch].holes();
  for (size_t h = 0; h < holes.size(); ++h) {
    const int values = static_cast<int>(holes[h].values.size());
    // The pool may be a sample: take the nearest value in each direction that is in it.
    for (int direction : {-1, 1}) {
      Assignment next = at.assignment;
      for (next[h] += direction; next[h] >= 0 && next[h] < values; next[h] += direction) {
        const int found = Find(at.sketch, next);
        if (found < 0) continue;
        neighbours.push_back(found);
        break;
      }
    }
  }
  // The same values in another structure.
  for (size_t s = 0; s < sketches_.size(); ++s) {
    if (static_cast<int>(s) == at.sketch) continue;
    Assignment other;
    for (const Hole& hole : sketches_[s].holes()) {
      int value = -1;
      for (size_t h = 0; h < holes.size(); ++h) {
        if (holes[h].name != hole.name) continue;
        const auto same =
            std::find(hole.values.begin(), hole.values.end(), holes[h].values[at.assignment[h]]);
        if (same != hole.values.end()) value = static_cast<int>(same - hole.values.begin());
      }
      if (value < 0) break;
      other.push_back(value);
    }
    if (other.size() != sketches_[s].holes().size()) continue;
    const int found = Find(static_cast<int>(s), other);
    if (found >= 0) neighbours.push_back(found);
  }
  return neighbours;
}

// The prior's favourites, each of another stratum; and no sketch takes more than half.
void Search::ProposeFirst(int count, std::vector<Proposal>* proposals) {
  std::set<std::string> strata;
  std::map<int, int> of_sketch;
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (static_cast<int>(proposals->size()) >= count) return;
    if (!IsFree(c)) continue;
    const EstimatedCandidate& candidate = pool_[c].candidate;
    if (candidate.sketch >= 0 && sketches_[candidate.sketch].holes().empty() && c > 0) continue;
    if (of_sketch[candidate.sketch] * 2 >= count && sketches_.size() > 2) continue;
    if (!strata.insert(StratumOf(candidate)).second) continue;
    ++of_sketch[candidate.sketch];
    Take(c, "prior", proposals);
  }
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (static_cast<int>(proposals->size()) >= count) return;
    if (IsFree(c)) Take(c, "prior", proposals);
  }
}

std::vector<Proposal> Search::Propose(int count, const CostModel& model) {
  std::vector<Proposal> proposals;
  if (best_ns_ == 0) {
    ProposeFirst(count, &proposals);
    return proposals;
  }
  std::vector<int> free;
  std::vector<std::vector<float>> features;
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (!IsFree(c)) continue;
    free.push_back(c);
    features.push_back(pool_[c].features);
  }
  const std::vector<float> residuals = model.Predict(features);
  std::map<int, double> score;
  for (size_t i = 0; i < free.size(); ++i) {
    score[free[i]] = PredictedNs(free[i]) * std::exp(static_cast<double>(residuals[i]));
  }
  auto by_score = [&](int a, int b) { return std::pair(score[a], a) < std::pair(score[b], b); };
  std::sort(free.begin(), free.end(), by_score);
  auto take_best = [&](std::vector<int> candidates, int most, absl::string_view origin) {
    std::sort(candidates.begin(), candidates.end(), by_score);
    for (int c : candidates) {
      if (most <= 0 || static_cast<int>(proposals.size()) >= count) return;
      if (!IsFree(c)) continue;
      Take(c, origin, &proposals);
      --most;
    }
  };

  const int local = static_cast<int>(std::lround(count * kLocalShare));
  const int crossed = static_cast<int>(std::lround(count * kCrossoverShare));
  const int model_count = static_cast<int>(std::lround(count * kModelShare));
  std::vector<int> neighbours;
  for (int best : Best(2)) {
    const std::vector<int> around = Neighbours(best);
    neighbours.insert(neighbours.end(), around.begin(), around.end());
  }
  take_best(neighbours, local, "local");

  std::vector<int> children;
  const std::vector<int> parents = Best(6);
  for (int attempt = 0; attempt < 8 * crossed && parents.size() > 1; ++attempt) {
    const EstimatedCandidate& a = pool_[parents[Random(parents.size())]].candidate;
    const EstimatedCandidate& b = pool_[parents[Random(parents.size())]].candidate;
    if (a.sketch != b.sketch || a.sketch < 0) continue;
    Assignment child = a.assignment;
    for (size_t h = 0; h < child.size(); ++h) {
      if (Random(2) == 1) child[h] = b.assignment[h];
    }
    const int found = Find(a.sketch, child);
    if (found >= 0) children.push_back(found);
  }
  take_best(children, crossed, "crossover");
  take_best(free, model_count, "model");
  // Chance, among the better half.
  for (int attempt = 0; attempt < 4 * count && !free.empty(); ++attempt) {
    if (static_cast<int>(proposals.size()) >= std::min(count, local + crossed + model_count + 2)) {
      break;
    }
    const int c = free[Random((free.size() + 1) / 2)];
    if (IsFree(c)) Take(c, "random", &proposals);
  }
  take_best(free, count, "model");
  return proposals;
}

void Search::Observe(int candidate, std::optional<double> cost_ns) {
  Entry& entry = pool_[candidate];
  if (cost_ns && *cost_ns <= 0) cost_ns.reset();
  if (entry.observed) {
    // Measured again (the final duel, a second record): the better knowledge replaces.
    if (cost_ns) {
      entry.cost_ns = cost_ns;
      best_ns_ = best_ns_ == 0 ? *cost_ns : std::min(best_ns_, *cost_ns);
    }
    return;
  }
  entry.observed = true;
  entry.cost_ns = cost_ns;
  history_.push_back(candidate);
  if (!cost_ns) {
    ++failures_;
  } else if (best_ns_ == 0 || *cost_ns < best_ns_) {
    best_ns_ = *cost_ns;
  }
  curve_.push_back(best_ns_);
}

void Search::ObserveSchedule(const std::string& schedule_text, std::optional<double> cost_ns) {
  auto it = by_text_.find(schedule_text);
  if (it != by_text_.end()) return Observe(it->second, cost_ns);
  const StatusOr<Schedule> schedule = Schedule::Parse(schedule_text, "record");
  if (!schedule.ok()) return;
  const StatusOr<LoopNest> nest = ApplySchedule(*schedule, workload_);
  if (!nest.ok()) return;
  Entry entry;
  entry.candidate.sketch = -1;
  entry.candidate.facts = AnalyzeNest(*nest, target_);
  entry.candidate.cost = EstimateCost(entry.candidate.facts, target_, profile_);
  entry.features = FeaturesOf(entry.candidate.facts, entry.candidate.cost, target_);
  entry.candidate.schedule = schedule_text;
  entry.proposed = true;
  by_text_[schedule_text] = static_cast<int>(pool_.size());
  pool_.push_back(std::move(entry));
  Observe(static_cast<int>(pool_.size()) - 1, cost_ns);
}

std::string Search::StopReason() const {
  const bool all = std::none_of(pool_.begin(), pool_.end(), [](const Entry& entry) {
    return !entry.proposed && !entry.observed;
  });
  if (all) return "all were tried";
  if (best_ns_ == 0) return "";
  if (roofline_.ns > 0 && best_ns_ * options_.roofline_share <= roofline_.ns) {
    return "at the limit";
  }
  const int trials = static_cast<int>(curve_.size());
  if (trials >= options_.patience_from) {
    const double before = curve_[trials - 1 - options_.patience];
    if (before > 0 && best_ns_ > before * kGain) return "no more gains";
  }
  return "";
}

std::vector<int> Search::Best(int count) const {
  std::vector<int> best;
  for (int c : history_) {
    if (pool_[c].cost_ns) best.push_back(c);
  }
  std::stable_sort(best.begin(), best.end(),
                   [&](int a, int b) { return *pool_[a].cost_ns < *pool_[b].cost_ns; });
  if (static_cast<int>(best.size()) > count) best.resize(count);
  return best;
}

void Search::AppendTraining(TrainingSet* set) const {
  std::vector<double> residuals;
  std::vector<double> good;
  for (int c : history_) {
    if (pool_[c].cost_ns) good.push_back(std::log(*pool_[c].cost_ns / PredictedNs(c)));
  }
  if (good.empty()) return;
  std::vector<double> sorted = good;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double median = sorted[sorted.size() / 2];
  for (int c : history_) {
    const double residual = pool_[c].cost_ns ? std::log(*pool_[c].cost_ns / PredictedNs(c)) - median
                                             : std::log(kFailureFactor);
    set->features.push_back(pool_[c].features);
    set->residuals.push_back(static_cast<float>(std::clamp(residual, -3.0, 3.0)));
  }
}

}  // namespace hone
