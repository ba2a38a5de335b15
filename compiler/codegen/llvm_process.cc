#include "compiler/codegen/llvm_process.h"

#include "base/check.h"
#include "llvm/Support/CommandLine.h"

namespace hone {

std::mutex& LlvmProcessMutex() {
  static std::mutex mutex;
  return mutex;
}

namespace {

// There is no other way to some passes: the standard pipeline asks these options alone.
void SetOption(const char* name, bool value) {
  auto& options = llvm::cl::getRegisteredOptions();
  const auto found = options.find(name);
  HONE_CHECK(found != options.end()) << "this LLVM has no option " << name;
  static_cast<llvm::cl::opt<bool>*>(found->second)->setValue(value);
}

}  // namespace

void LeaveOutHarmfulPasses() {
  SetOption("disable-lsr", true);
  SetOption("x86-machine-combiner", false);
}

}  // namespace hone
