// How much time each candidate of a batch is worth. All get one short visit (rung 0), the better
// third another (rung 1), the best three up to two more (rung 2); who is clearly slower than the
// best known stops at once. A batch of finalists is a duel of many visits each, which whoever is
// beaten leaves early. Pure decisions for the worker's timer loop; times nothing.
#pragma once

#include <cstddef>
#include <vector>

namespace hone {

// How to time one visit of a candidate whose run takes about `estimate_ns`.
struct VisitPlan {
  int samples = 1;          // timed samples
  int runs_per_sample = 1;  // more than one for kernels too short for the clock
};
// A sample lasts at least 10 us and a visit about 0.6 ms, of 2 to 8 samples; one sample for kernels
// of 20 ms and more.
VisitPlan PlanVisit(double estimate_ns);
// Rung 0: at most three samples; one millisecond's sample for who is out of reach of the best by
// then, 1.25 times slower. `best_ns` <= 0: none known.
VisitPlan PlanFirstVisit(double estimate_ns, double best_ns);
// Whether a first visit takes another sample after so many, of which the best says `estimate_ns`.
// One slow sample may be a cold cache or, where the clock counts waiting (`counts_waits`), a moment
// without the core; several in a millisecond (`spent_ns`) are not.
bool TakesAnother(size_t samples, double estimate_ns, double best_ns, double spent_ns,
                  bool counts_waits);

// Visits that a survivor of rung 1 gets in rung 2, and a finalist altogether.
int VisitsInRung2(double estimate_ns);
int VisitsOfFinalist(double estimate_ns);
// Whether more visits could change nothing, after `visits` in turns with others that did no better
// than `rival_ns`, the best of them: not the loser of the two (3 % and four visits apart), and for
// the winner only its own time (six visits).
bool IsDecided(double cost_ns, double rival_ns, int visits);

// Whether a run says that going on is useless: 1.6 times the best. `best_ns` <= 0: none known.
bool IsClearlySlower(double run_ns, double best_ns);
// Whether a candidate that was clearly slower gets one more sample at another time: not when it is
// hopeless (4 times the best) or its run is long (20 ms).
bool DeservesSecondChance(double run_ns, double best_ns);

// Who goes on, best first, as indices into `costs_ns` (infinity: out of the race).
// Rung 1: the better third, rounded up. Rung 2: three. Of these, nobody who is 1.25 (rung 1) or 1.1
// (rung 2) times slower than `best_known_ns`, the best of earlier batches; <= 0: none known. Nor,
// in rung 2, who is so much slower than the best of this one.
std::vector<int> SurvivorsForRung1(const std::vector<double>& costs_ns, double best_known_ns);
std::vector<int> SurvivorsForRung2(const std::vector<double>& costs_ns, double best_known_ns);

}  // namespace hone
