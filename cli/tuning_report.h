// The table at the end of tuning: what each kernel and the whole model gained. `hone tune` prints
// it, and with it the demo. A pure function of the state that the progress display shows as well.
#pragma once

#include <string>

#include "cli/progress.h"

namespace hone {

// One line a kernel, those with most time first: its shape, how often the model calls it, the time
// of the default schedule (the prior's first choice, unmeasured by the search) and of the tuned
// one, GFLOP/s and share of the measured peak of both; below a line, the whole model. Kernels that
// compute nothing to speak of (flops 0) show no rate.
std::string TuningReport(const TuningProgress& progress, int width);

}  // namespace hone
