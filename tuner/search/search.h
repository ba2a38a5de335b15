// Search: which candidate of one workload to try next. Proposes from a fixed pool of legal
// candidates, learns what came of them, and knows when to stop. Pure: no clock, no files, no
// network; the same seed and observations give the same proposals, so it is rebuilt from records.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/target.h"
#include "tuner/cost_model/cost_model.h"
#include "tuner/prior/prior.h"
#include "tuner/search/schedule_pattern.h"

namespace hone {

struct SearchOptions {
  uint64_t seed = 1;
  int64_t pool_limit = kCandidatesMax;
  // Measured with constants that come from memory: the roofline counts them so.
  bool cold_constants = false;
  // A candidate this close to the roofline ends the search.
  double roofline_share = 0.97;
  // So many trials without a gain of 1 % end it too, once `patience_from` were measured.
  int patience = 16;
  int patience_from = 24;
  // After so many trials it ends as well when no candidate that was not measured is, by the model,
  // as likely as this to gain 1 %.
  int chance_from = 24;
  double least_chance = 0.05;
  // Natural logarithm of how much faster a candidate has to look to be worth a compilation, where
  // another serves that was compiled already.
  double build_worth = 0.02;
  // For studies of the search. `random`: proposes at random until all were tried, to record what a
  // space is like. `admits`: the space is what it admits of the pool, so that a search can be tried
  // on a part of a space that is recorded; null admits all.
  bool random = false;
  std::function<bool(const std::string& schedule)> admits;
};

// Why a search ends whose best comes close to the roofline.
inline constexpr char kAtTheLimit[] = "at the limit";

// How big the batch is that comes after `trials` measured candidates: 8, 8, then 16.
int BatchSize(int trials);

struct Proposal {
  int candidate = 0;  // index into the pool
  // "prior", "model", "local", "crossover", "random", or as Advise says.
  std::string origin;
  // With its blockings as numbers in the code, not told at run time.
  bool closed = false;
};

// A schedule that was good elsewhere.
struct Advice {
  std::string schedule;  // text form
  // "other device", "other class": of the same workload, taken as it is; "epilogue": of the same
  // reduction with other work around it, taken with this workload's boundary layouts; "neighbour":
  // of a workload of other extents, taken as the candidate most like it that is still free.
  std::string origin;
};

class Search {
 public:
  Search(const Workload& workload, std::vector<Sketch> sketches, const Target& target,
         const MachineProfile& profile, const SearchOptions& options);

  // What the next batch should try beside the favourites of the prior and of the model; the search
  // does not end before. Advice that leads to no legal candidate, or to one that is tried already,
  // is left out. Returns how much was taken.
  int Advise(const std::vector<Advice>& advice);

  // Up to `count` candidates that were neither proposed nor observed. None when all were, or none
  // is likely to win: StopReason says which. `curiosity`: how much of the model's spread counts in
  // favour of a candidate; 0 in the last batch, which should only win.
  std::vector<Proposal> Propose(int count, const CostModel& model, double curiosity);

  // What came of a candidate: its time, or nothing when it failed. `held_back`: it uses a matrix
  // unit, which others kept from its speed all the while; the model learns nothing of that.
  void Observe(int candidate, std::optional<double> cost_ns, bool held_back = false);
  // The same for a schedule from a record; one that is not in the pool is added if it is legal.
  void ObserveSchedule(const std::string& schedule_text, std::optional<double> cost_ns,
                       bool held_back = false);
  // What was measured of the candidate may say more of the moment than of it: it may be proposed
  // again. False where that was said often enough, of it or altogether: what came counts.
  bool PutOff(int candidate);
  // The same for a schedule from a record.
  bool PutOff(const std::string& schedule_text);

  // Why no more trials are worth their time, or "".
  std::string StopReason() const;
  // What a candidate is expected to take by prior and model, in nanoseconds, and by which factor
  // that may be wrong. Comparable within this search, as long as nothing was measured.
  struct Expectation {
    double ns = 0;
    double factor = 1;
  };
  Expectation Expect(int candidate, const CostModel& model) const;
  // The candidate that a piece of advice leads to, added to the pool if need be; -1: none.
  int Follow(const Advice& advice);

  const std::string& ScheduleText(int candidate) const;
  // What it is compiled from to be measured: its blockings are left to run time where they can be.
  const std::string& OpenText(int candidate) const;
  // What these are then; none: it is compiled as it is.
  const std::map<std::string, int64_t>& ParamsOf(int candidate) const;
  double PredictedNs(int candidate) const;  // by the prior
  // By the cost model, when the candidate was proposed; 0 while that had learnt nothing.
  double ExpectedNs(int candidate) const;
  double CostNs(int candidate) const;  // 0: not measured, or it failed
  // Measured candidates, fastest first, at most `count`.
  std::vector<int> Best(int count) const;
  // Of those that were held back, the fastest that may be the best of all when they are not.
  std::vector<int> BestHeldBack(int count) const;
  double best_ns() const { return best_ns_; }  // 0 before the first success
  // The least time there is, by the candidate that computes least.
  const Roofline& roofline() const { return roofline_; }
  // The machine turned out faster, or slower, than assumed: the roofline moves.
  void MoveRoofline(const MachineProfile& profile);
  int trials() const { return static_cast<int>(history_.size()); }
  int failures() const { return failures_; }
  // Best time after each trial; 0 before the first success.
  const std::vector<double>& curve() const { return curve_; }
  int64_t pool_size() const { return static_cast<int64_t>(pool_.size()); }

  // One row a measured candidate, residuals centred; failures count as four times the median.
  void AppendTraining(TrainingSet* set) const;

 private:
  struct Entry {
    EstimatedCandidate candidate;
    std::vector<float> features;
    int body = 0;  // what it is compiled to, if that were numbered: candidates share some
    bool proposed = false;
    bool observed = false;
    int put_off = 0;  // times
    std::optional<double> cost_ns;
    bool held_back = false;  // when it took `cost_ns`
    // Natural logarithm of the time that the model expected when it was proposed, and how unsure
    // the model was.
    std::optional<double> expected_log_ns;
    double spread = 0;
  };
  // The model's view of candidates that are free, best score first.
  struct Outlook {
    std::vector<int> free;
    std::vector<double> score;  // by candidate; of those that are free
    double best_chance = 1;     // that one of them gains, of the likeliest
  };
  Outlook LookAhead(const CostModel& model, double curiosity);
  // Index of a legal schedule in the pool, added if need be; -1 when it is not legal.
  int FindOrAdd(const std::string& schedule_text);
  // The nearest that Advise may take; -1: none has its structure.
  int FindMostAlike(const std::string& schedule_text);
  bool MayBeAdvised(int candidate) const;
  int Find(int sketch, const Assignment& assignment) const;  // -1: not in the pool
  std::vector<int> Neighbours(int candidate) const;
  // At most kAdviceMost, as long as they are free.
  void TakeAdvice(int count, std::vector<Proposal>* proposals);
  void ProposeFirst(int count, const CostModel& model, std::vector<Proposal>* proposals);
  void ProposeRandom(int count, std::vector<Proposal>* proposals);
  // The first of `order` that are free, each of another stratum; and no sketch takes more than
  // half of `count`.
  void TakeVaried(const std::vector<int>& order, int count, int most, absl::string_view origin,
                  std::vector<Proposal>* proposals);
  void Take(int candidate, absl::string_view origin, std::vector<Proposal>* proposals);
  // Those of `candidates` that are free, the best first, each judged anew after the last was taken:
  // what that is compiled to costs its kin nothing. At most `most`, as long as there is room.
  void TakeBest(std::vector<int> candidates, const Outlook& outlook, int count, int most,
                absl::string_view origin, std::vector<Proposal>* proposals);
  void Number(int candidate);  // gives it its body
  bool IsFree(int candidate) const;
  uint64_t Random(uint64_t below);

  const Workload workload_;
  const std::vector<Sketch> sketches_;
  const Target target_;
  const MachineProfile profile_;
  double least_flops_ = 0;
  Roofline roofline_;
  bool roofline_is_firm_ = false;  // known so well that being near it means something
  const SearchOptions options_;
  std::vector<Entry> pool_;
  std::map<std::pair<int, Assignment>, int> index_;
  std::map<std::string, int> by_text_;
  std::map<std::string, int> bodies_;  // by what is compiled
  std::vector<bool> built_;            // by body: whether it was asked for
  std::vector<int> history_;
  std::vector<double> curve_;
  double best_ns_ = 0;
  int failures_ = 0;
  int put_off_ = 0;                        // times, of all candidates that it has not helped yet
  bool hopeless_ = false;                  // when last looked at, nothing was likely to win
  std::vector<Proposal> advice_;           // not proposed yet
  std::vector<SchedulePattern> patterns_;  // of the first so many of the pool
  std::vector<double> surprises_;  // squares of (measured - expected) / spread, of logarithms
  std::mt19937_64 random_;
};

}  // namespace hone
