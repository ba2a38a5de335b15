// Budget: which workload the next batch goes to. Spends where the model as a whole has most to
// gain: many calls, far from the roofline, still improving. Pure arithmetic on what the searches
// say.
#pragma once

#include <optional>
#include <vector>

namespace hone {

// What is known of one workload's search.
struct BudgetView {
  double calls = 1;    // in one run of the model
  double best_ns = 0;  // 0 before the first success
  double roofline_ns = 0;
  int trials = 0;             // measured
  double recent_gain_ns = 0;  // over the last `recent_trials`
  int recent_trials = 0;
  bool available = true;  // not finished, and no batch of it is under way
};

// The expected gain of one more trial, in nanoseconds of the whole model.
double ExpectedGain(const BudgetView& view);

// The workload with the largest expected gain; those never measured come first, in order. Nothing
// when none is available.
std::optional<int> NextWorkload(const std::vector<BudgetView>& views);

}  // namespace hone
