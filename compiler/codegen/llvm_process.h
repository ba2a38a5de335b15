// What LLVM and lld keep once for a whole process: their option values. Linking resets them all,
// and pass pipelines read them while they are built, so the two take turns here.
#pragma once

#include <mutex>

namespace hone {

// Hold it while a pass pipeline is built and while lld runs. LLVM's own state is process-wide, so
// its lock has to be.
std::mutex& LlvmProcessMutex();

}  // namespace hone
