// Draws random legal schedules for any workload: whatever steps the compiler accepts, in any order.
// Tests compare what comes of them with the oracle.
#pragma once

#include <random>

#include "compiler/ir/workload.h"
#include "compiler/schedule/schedule.h"

namespace hone {

// Steps that are illegal are left out as they are drawn, so the result applies to the workload. It
// may still be refused when loops are built (an inner tile outside of its outer one).
Schedule RandomSchedule(const Workload& workload, std::mt19937_64& random);

}  // namespace hone
