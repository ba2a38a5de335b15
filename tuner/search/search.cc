// The first batch tries the default, what was good elsewhere, the favourites of a model that
// earlier sessions trained, and those of the prior. Each later one mixes four sources: the model's
// favourites (a half), single steps from the best so far (a quarter), combinations of two good
// candidates, and a little chance. A source that has nothing left leaves its share to the model.
// Candidates that differ in sizes told at run time share a compilation, so of two that look alike
// that one is tried whose body is compiled already.
//
// The model's spread is how far its boosters disagree. How much of it to believe is learnt from the
// surprises so far: the search keeps what was expected of each candidate when it was proposed.
#include "tuner/search/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "tuner/features/features.h"

namespace hone {
namespace {

constexpr double kModelShare = 0.5;
constexpr double kLocalShare = 0.25;
constexpr double kCrossoverShare = 0.15;
constexpr double kGain = 0.99;  // a new best is one below this share of the old
constexpr double kFailureFactor = 4;
// A step from a good candidate, or a combination of two, may be expected to take so many times as
// long as the best: one run of the plain loops takes longer than measuring a hundred others.
constexpr double kStepMost = 4;
// How often a candidate may be measured anew, and all together those that it has not helped. On a
// machine whose matrix unit is never at what counts as its speed, that is what finding out costs.
constexpr int kPutOffMost = 4;
constexpr int kPutOffMostOfAll = 48;
constexpr int kAdviceMost = 3;       // of the first batch
constexpr double kFirstModel = 0.5;  // share of what is left of it after the default and the advice
// Without a model, so much of the first batch is left to chance, among the best of the prior: what
// is alike in all of its favourites may be wrong, and nothing else would tell.
constexpr double kFirstChance = 0.25;
constexpr size_t kFirstChanceOf = 3;  // the best third
constexpr double kLeastSpread = 0.02;
// Before there are surprises: boosters know less than they think.
constexpr double kAssumedSurprise = 4;
constexpr double kAssumedWeight = 4;
constexpr size_t kSurprisesMax = 16;
constexpr double kSurpriseMost = 36;

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
    entry.features = FeaturesOf(candidate.facts, candidate.cost, target, profile);
    entry.candidate = std::move(candidate);
    index_[{entry.candidate.sketch, entry.candidate.assignment}] = static_cast<int>(pool_.size());
    pool_.push_back(std::move(entry));
    Number(static_cast<int>(pool_.size()) - 1);
    // Two sketches may give one schedule; it is tried once.
    const int added = static_cast<int>(pool_.size()) - 1;
    const bool is_new = by_text_.emplace(ScheduleText(added), added).second;
    if (!is_new || (options_.admits && !options_.admits(ScheduleText(added)))) {
      pool_.back().proposed = true;
    }
  }
}

void Search::MoveRoofline(const MachineProfile& profile) {
  roofline_ = RooflineOf(workload_, least_flops_, target_, profile, options_.cold_constants);
  // The peak is measured beside every candidate, and the core's own caches keep step with it. What
  // all cores share is now faster, now slower by tenths, as others use it.
  const bool own_cache = roofline_.bound == Bound::kL1 || roofline_.bound == Bound::kL2;
  roofline_is_firm_ = roofline_.bound == Bound::kCompute || (own_cache && profile.measured);
}

const std::string& Search::ScheduleText(int candidate) const {
  return pool_[candidate].candidate.schedule;
}

const std::string& Search::OpenText(int candidate) const {
  const EstimatedCandidate& at = pool_[candidate].candidate;
  return at.params.empty() ? at.schedule : at.open_schedule;
}

const std::map<std::string, int64_t>& Search::ParamsOf(int candidate) const {
  return pool_[candidate].candidate.params;
}

double Search::PredictedNs(int candidate) const { return pool_[candidate].candidate.cost.total_ns; }

double Search::ExpectedNs(int candidate) const {
  const std::optional<double>& log_ns = pool_[candidate].expected_log_ns;
  return log_ns ? std::exp(*log_ns) : 0;
}

double Search::CostNs(int candidate) const { return pool_[candidate].cost_ns.value_or(0); }

bool Search::IsFree(int candidate) const {
  return !pool_[candidate].proposed && !pool_[candidate].observed;
}

// The standard's distributions differ between libraries; a remainder does not.
uint64_t Search::Random(uint64_t below) { return below == 0 ? 0 : random_() % below; }

void Search::Take(int candidate, absl::string_view origin, std::vector<Proposal>* proposals) {
  pool_[candidate].proposed = true;
  built_[pool_[candidate].body] = true;
  proposals->push_back({candidate, std::string(origin)});
}

void Search::Number(int candidate) {
  const int next = static_cast<int>(bodies_.size());
  pool_[candidate].body = bodies_.emplace(OpenText(candidate), next).first->second;
  built_.resize(bodies_.size());
}

void Search::TakeBest(std::vector<int> candidates, const Outlook& outlook, int count, int most,
                      absl::string_view origin, std::vector<Proposal>* proposals) {
  const auto worth = [&](int c) {
    const double build = built_[pool_[c].body] ? 0 : options_.build_worth;
    return std::pair(outlook.score[c] + build, c);
  };
  std::erase_if(candidates, [&](int c) { return !IsFree(c); });
  for (; most > 0 && !candidates.empty() && static_cast<int>(proposals->size()) < count; --most) {
    const int best = *std::min_element(candidates.begin(), candidates.end(),
                                       [&](int a, int b) { return worth(a) < worth(b); });
    Take(best, origin, proposals);
    std::erase(candidates, best);  // neighbours of several may name one twice
  }
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

bool Search::MayBeAdvised(int candidate) const {
  if (candidate <= 0 || !IsFree(candidate)) return false;  // 0 is tried in any case
  return std::none_of(advice_.begin(), advice_.end(),
                      [&](const Proposal& other) { return other.candidate == candidate; });
}

int Search::FindMostAlike(const std::string& schedule_text) {
  for (size_t c = patterns_.size(); c < pool_.size(); ++c) {
    patterns_.push_back(PatternOf(StepsInside(ScheduleText(static_cast<int>(c)))));
  }
  const SchedulePattern wanted = PatternOf(StepsInside(schedule_text));
  double nearest = std::numeric_limits<double>::infinity();
  int found = -1;
  for (size_t c = 0; c < patterns_.size(); ++c) {
    const double distance = PatternDistance(wanted, patterns_[c]);
    if (distance >= nearest || !MayBeAdvised(static_cast<int>(c))) continue;
    nearest = distance;
    found = static_cast<int>(c);
  }
  return found;
}

int Search::Follow(const Advice& advice) {
  if (advice.origin == "neighbour") return FindMostAlike(advice.schedule);
  if (advice.origin != "epilogue" || pool_.empty()) return FindOrAdd(advice.schedule);
  const std::string& own = ScheduleText(0);
  return FindOrAdd(absl::StrCat(own.substr(0, own.size() - StepsInside(own).size()),
                                StepsInside(advice.schedule)));
}

int Search::Advise(const std::vector<Advice>& advice) {
  const size_t before = advice_.size();
  for (const Advice& each : advice) {
    const int found = Follow(each);
    if (MayBeAdvised(found)) advice_.push_back({found, each.origin});
  }
  return static_cast<int>(advice_.size() - before);
}

void Search::TakeAdvice(int count, std::vector<Proposal>* proposals) {
  int taken = 0;
  for (const Proposal& advice : std::exchange(advice_, {})) {
    if (taken == kAdviceMost || static_cast<int>(proposals->size()) >= count) return;
    if (!IsFree(advice.candidate)) continue;
    Take(advice.candidate, advice.origin, proposals);
    ++taken;
  }
}

void Search::TakeVaried(const std::vector<int>& order, int count, int most,
                        absl::string_view origin, std::vector<Proposal>* proposals) {
  std::set<std::string> strata;
  std::map<int, int> of_sketch;
  for (const Proposal& proposal : *proposals) {
    const EstimatedCandidate& candidate = pool_[proposal.candidate].candidate;
    strata.insert(StratumOf(candidate));
    ++of_sketch[candidate.sketch];
  }
  for (int c : order) {
    if (most <= 0 || static_cast<int>(proposals->size()) >= count) return;
    if (!IsFree(c)) continue;
    const EstimatedCandidate& candidate = pool_[c].candidate;
    if (candidate.sketch >= 0 && sketches_[candidate.sketch].holes().empty() && c > 0) continue;
    if (of_sketch[candidate.sketch] * 2 >= count && sketches_.size() > 2) continue;
    if (!strata.insert(StratumOf(candidate)).second) continue;
    ++of_sketch[candidate.sketch];
    Take(c, origin, proposals);
    --most;
  }
}

void Search::ProposeFirst(int count, const CostModel& model, std::vector<Proposal>* proposals) {
  std::vector<int> by_prior(pool_.size());
  std::iota(by_prior.begin(), by_prior.end(), 0);
  TakeVaried(by_prior, count, 1, "prior", proposals);
  const size_t before = proposals->size();
  TakeAdvice(count, proposals);
  const bool advised = proposals->size() > before;
  if (model.trained()) {
    const int left = count - static_cast<int>(proposals->size());
    const int favourites = static_cast<int>(std::lround(left * kFirstModel));
    TakeVaried(LookAhead(model, /*curiosity=*/0).free, count, favourites, "model", proposals);
  } else if (!advised) {
    const int chance = static_cast<int>(std::lround(count * kFirstChance));
    TakeVaried(by_prior, count - chance, count, "prior", proposals);
    for (int attempt = 0; attempt < 4 * chance; ++attempt) {
      if (static_cast<int>(proposals->size()) >= count) break;
      const int c = static_cast<int>(Random(pool_.size() / kFirstChanceOf + 1));
      if (IsFree(c)) Take(c, "random", proposals);
    }
  }
  TakeVaried(by_prior, count, count, "prior", proposals);
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (static_cast<int>(proposals->size()) >= count) return;
    if (IsFree(c)) Take(c, "prior", proposals);
  }
}

// What the model expects of the measured candidates, beside what they took, says how fast this
// workload is as a whole.
Search::Outlook Search::LookAhead(const CostModel& model, double curiosity) {
  Outlook outlook;
  outlook.score.resize(pool_.size());
  std::vector<int> asked;
  std::vector<std::vector<float>> features;
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (!IsFree(c) && !pool_[c].cost_ns) continue;
    asked.push_back(c);
    features.push_back(pool_[c].features);
  }
  const std::vector<Residual> residuals = model.Predict(features);
  double offset = 0;
  int measured = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    const Entry& entry = pool_[asked[i]];
    if (!entry.cost_ns || entry.held_back) continue;
    offset += std::log(*entry.cost_ns / PredictedNs(asked[i])) - residuals[i].mean;
    ++measured;
  }
  if (measured > 0) offset /= measured;
  double surprise = kAssumedSurprise * kAssumedWeight;
  for (double square : surprises_) surprise += square;
  surprise = std::sqrt(surprise / (kAssumedWeight + static_cast<double>(surprises_.size())));
  outlook.best_chance = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    const int c = asked[i];
    Entry& entry = pool_[c];
    if (!IsFree(c)) continue;
    const double expected = std::log(PredictedNs(c)) + residuals[i].mean + offset;
    outlook.free.push_back(c);
    outlook.score[c] = expected - curiosity * residuals[i].spread;
    if (best_ns_ == 0 || !model.trained()) continue;
    entry.expected_log_ns = expected;
    entry.spread = std::max(kLeastSpread, static_cast<double>(residuals[i].spread));
    const double away = expected - std::log(kGain * best_ns_);
    const double chance = 0.5 * std::erfc(away / (surprise * entry.spread) / std::sqrt(2.0));
    outlook.best_chance = std::max(outlook.best_chance, chance);
  }
  std::sort(outlook.free.begin(), outlook.free.end(), [&](int a, int b) {
    return std::pair(outlook.score[a], a) < std::pair(outlook.score[b], b);
  });
  return outlook;
}

void Search::ProposeRandom(int count, std::vector<Proposal>* proposals) {
  std::vector<int> free;
  for (int c = 0; c < static_cast<int>(pool_.size()); ++c) {
    if (IsFree(c)) free.push_back(c);
  }
  while (static_cast<int>(proposals->size()) < count && !free.empty()) {
    const size_t which = Random(free.size());
    Take(free[which], "random", proposals);
    free.erase(free.begin() + static_cast<int64_t>(which));
  }
}

std::vector<Proposal> Search::Propose(int count, const CostModel& model, double curiosity) {
  std::vector<Proposal> proposals;
  if (options_.random) {
    ProposeRandom(count, &proposals);
    return proposals;
  }
  if (best_ns_ == 0) {
    ProposeFirst(count, model, &proposals);
    return proposals;
  }
  TakeAdvice(count, &proposals);
  // A search that was over goes on for its advice alone.
  if (!proposals.empty() && !StopReason().empty()) return proposals;
  const Outlook outlook = LookAhead(model, curiosity);
  hopeless_ = model.trained() && trials() >= options_.chance_from &&
              outlook.best_chance < options_.least_chance;
  if (hopeless_) return proposals;
  const std::vector<int>& free = outlook.free;

  const int local = static_cast<int>(std::lround(count * kLocalShare));
  const int crossed = static_cast<int>(std::lround(count * kCrossoverShare));
  const int model_count = static_cast<int>(std::lround(count * kModelShare));
  std::vector<int> neighbours;
  for (int best : Best(2)) {
    const std::vector<int> around = Neighbours(best);
    neighbours.insert(neighbours.end(), around.begin(), around.end());
  }
  const double step_most = std::log(kStepMost * best_ns_);
  const auto is_too_slow = [&](int c) { return IsFree(c) && outlook.score[c] > step_most; };
  std::erase_if(neighbours, is_too_slow);
  TakeBest(neighbours, outlook, count, local, "local", &proposals);

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
  std::erase_if(children, is_too_slow);
  TakeBest(children, outlook, count, crossed, "crossover", &proposals);
  TakeBest(free, outlook, count, model_count, "model", &proposals);
  // Chance, among the better half.
  for (int attempt = 0; attempt < 4 * count && !free.empty(); ++attempt) {
    if (static_cast<int>(proposals.size()) >= std::min(count, local + crossed + model_count + 2)) {
      break;
    }
    const int c = free[Random((free.size() + 1) / 2)];
    if (IsFree(c)) Take(c, "random", &proposals);
  }
  TakeBest(free, outlook, count, count, "model", &proposals);
  return proposals;
}

void Search::Observe(int candidate, std::optional<double> cost_ns, bool held_back) {
  Entry& entry = pool_[candidate];
  if (cost_ns && *cost_ns <= 0) cost_ns.reset();
  if (cost_ns && !held_back) put_off_ -= std::exchange(entry.put_off, 0);
  if (entry.observed) {
    // Measured again (the final duel, a second record): the better knowledge replaces.
    if (cost_ns) {
      entry.cost_ns = cost_ns;
      entry.held_back = held_back;
      best_ns_ = best_ns_ == 0 ? *cost_ns : std::min(best_ns_, *cost_ns);
    }
    return;
  }
  entry.observed = true;
  entry.cost_ns = cost_ns;
  entry.held_back = cost_ns && held_back;
  history_.push_back(candidate);
  if (cost_ns && !held_back && entry.expected_log_ns) {
    if (surprises_.size() == kSurprisesMax) surprises_.erase(surprises_.begin());
    const double error = std::log(*cost_ns) - *entry.expected_log_ns;
    surprises_.push_back(std::min(kSurpriseMost, error * error / (entry.spread * entry.spread)));
  }
  if (!cost_ns) {
    ++failures_;
  } else if (best_ns_ == 0 || *cost_ns < best_ns_) {
    best_ns_ = *cost_ns;
  }
  curve_.push_back(best_ns_);
}

bool Search::PutOff(int candidate) {
  Entry& entry = pool_[candidate];
  if (entry.put_off >= kPutOffMost || put_off_ >= kPutOffMostOfAll) return false;
  ++entry.put_off;
  ++put_off_;
  entry.proposed = false;
  return true;
}

bool Search::PutOff(const std::string& schedule_text) {
  const int candidate = FindOrAdd(schedule_text);
  return candidate >= 0 && PutOff(candidate);
}

void Search::ObserveSchedule(const std::string& schedule_text, std::optional<double> cost_ns,
                             bool held_back) {
  const int candidate = FindOrAdd(schedule_text);
  if (candidate < 0) return;
  pool_[candidate].proposed = true;
  Observe(candidate, cost_ns, held_back);
}

int Search::FindOrAdd(const std::string& schedule_text) {
  auto it = by_text_.find(schedule_text);
  if (it != by_text_.end()) return it->second;
  const StatusOr<Schedule> schedule = Schedule::Parse(schedule_text, "record");
  if (!schedule.ok()) return -1;
  const StatusOr<LoopNest> nest = ApplySchedule(*schedule, workload_);
  if (!nest.ok()) return -1;
  Entry entry;
  entry.candidate.sketch = -1;
  NestAnalyzer analyzer(target_);
  DescribeCandidate(*schedule, *nest, analyzer, target_, profile_, &entry.candidate);
  entry.features = FeaturesOf(entry.candidate.facts, entry.candidate.cost, target_, profile_);
  entry.candidate.schedule = schedule_text;
  const int added = static_cast<int>(pool_.size());
  by_text_[schedule_text] = added;
  pool_.push_back(std::move(entry));
  Number(added);
  return added;
}

Search::Expectation Search::Expect(int candidate, const CostModel& model) const {
  const Residual residual = model.Predict({pool_[candidate].features})[0];
  return {PredictedNs(candidate) * std::exp(residual.mean),
          std::exp(std::max(kLeastSpread, static_cast<double>(residual.spread)))};
}

std::string Search::StopReason() const {
  if (!advice_.empty()) return "";
  const bool all = std::none_of(pool_.begin(), pool_.end(), [](const Entry& entry) {
    return !entry.proposed && !entry.observed;
  });
  if (all) return "all were tried";
  if (best_ns_ == 0 || options_.random) return "";
  if (roofline_is_firm_ && roofline_.ns > 0 && best_ns_ * options_.roofline_share <= roofline_.ns) {
    return kAtTheLimit;
  }
  if (hopeless_) return "no gain likely";
  const int trials = static_cast<int>(curve_.size());
  if (trials >= std::max(options_.patience_from, options_.patience + 1)) {
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

std::vector<int> Search::BestHeldBack(int count) const {
  std::vector<int> best = Best(trials());
  std::erase_if(best, [&](int c) {
    return !pool_[c].held_back || *pool_[c].cost_ns > kTileSlowdownMost * best_ns_;
  });
  if (static_cast<int>(best.size()) > count) best.resize(count);
  return best;
}

void Search::AppendTraining(TrainingSet* set) const {
  std::vector<double> residuals;
  std::vector<double> good;
  for (int c : history_) {
    if (!pool_[c].cost_ns || pool_[c].held_back) continue;
    good.push_back(std::log(*pool_[c].cost_ns / PredictedNs(c)));
  }
  if (good.empty()) return;
  std::vector<double> sorted = good;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double median = sorted[sorted.size() / 2];
  for (int c : history_) {
    if (pool_[c].held_back) continue;
    const double residual = pool_[c].cost_ns ? std::log(*pool_[c].cost_ns / PredictedNs(c)) - median
                                             : std::log(kFailureFactor);
    set->features.push_back(pool_[c].features);
    set->residuals.push_back(static_cast<float>(std::clamp(residual, -3.0, 3.0)));
  }
}

}  // namespace hone
