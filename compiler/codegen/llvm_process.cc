#include "compiler/codegen/llvm_process.h"

#include "base/check.h"
#include "llvm/Support/CommandLine.h"

namespace hone {

std::mutex& LlvmProcessMutex() {
  static std::mutex mutex;
  return mutex;
}

void LeaveOutLoopStrengthReduction() {
  // There is no other way to it: the standard pipeline asks this option alone.
  auto& options = llvm::cl::getRegisteredOptions();
  const auto found = options.find("disable-lsr");
  HONE_CHECK(found != options.end()) << "this LLVM has no option disable-lsr";
  static_cast<llvm::cl::opt<bool>*>(found->second)->setValue(true);
}

}  // namespace hone
