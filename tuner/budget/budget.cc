#include "tuner/budget/budget.h"

#include <algorithm>

namespace hone {

double ExpectedGain(const BudgetView& view) {
  // How it has been improving lately, and an optimist's guess that fades with the trials spent.
  constexpr double kRecent = 0.2;
  const double slope = view.recent_trials > 0 ? view.recent_gain_ns / view.recent_trials : 0;
  const double hope = view.trials > 0 ? view.best_ns / view.trials : view.best_ns;
  const double gap = std::max(0.0, view.best_ns - view.roofline_ns);
  return view.calls * std::min(kRecent * slope + (1 - kRecent) * hope, gap);
}

std::optional<int> NextWorkload(const std::vector<BudgetView>& views) {
  std::optional<int> next;
  for (size_t v = 0; v < views.size(); ++v) {
    if (!views[v].available) continue;
    if (views[v].trials == 0) return static_cast<int>(v);
    if (!next || ExpectedGain(views[v]) > ExpectedGain(views[*next])) next = static_cast<int>(v);
  }
  return next;
}

}  // namespace hone
