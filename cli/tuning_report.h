// The report at the end of tuning: what each kernel and the whole model gained, and how far they
// are from the limit of the machine. `hone tune` prints it, and with it the demo. A pure function
// of the TuningState.
#pragma once

#include <string>

#include "base/target.h"
#include "tuner/tuning_state.h"

namespace hone {

// One line a kernel, those with most time first: how often the model calls it, the time of the
// default schedule (the prior's first choice) and of the tuned one, the share of the machine's
// limit that the tuned one reaches and what sets that limit, trials, and why its search ended.
// Below a line the whole model; then where there is most left to gain, what failed, and what the
// limit is. `width` as for Table::Render.
std::string TuningReport(const TuningState& state, const Target& target, int width);

}  // namespace hone
