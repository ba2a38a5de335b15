// What LLVM and lld keep once for a whole process: their option values. Linking resets them all,
// and pass pipelines read them while they are built, so the two take turns here.
#pragma once

#include <mutex>

namespace hone {

// Hold it while a pass pipeline is built and while lld runs. LLVM's own state is process-wide, so
// its lock has to be.
std::mutex& LlvmProcessMutex();

// Leaves two passes out of pipelines built from now on, until lld runs. Loop strength reduction:
// addresses are generated with their loop-variant parts shared already; the pass would take more
// time than all others together and change little. The machine combiner: it reassociates sums of
// integers into trees, whose values no longer fit the registers. The mutex is held.
void LeaveOutHarmfulPasses();

}  // namespace hone
