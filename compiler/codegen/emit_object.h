// From an LLVM module to the bytes of an object file: which passes of LLVM's code generator run on
// our programs, which do not, and why. The code generator uses it; it changes no module before
// that.
#pragma once

#include <string>

#include "base/status.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace hone {

// The object file of `module`, which is used up. `machine` is at optimisation level "less".
StatusOr<std::string> EmitObject(llvm::Module& module, llvm::TargetMachine& machine);

}  // namespace hone
