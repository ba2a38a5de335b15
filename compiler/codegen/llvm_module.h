// A Program as an LLVM module with the entries of the kernel ABI. Each loop nest that does the work
// is a function of its own whose buffers are noalias arguments: that is how LLVM learns what the
// ABI promises. Reads runtime/kernel.h for the layout of the arguments.
#pragma once

#include <memory>

#include "base/status.h"
#include "base/target.h"
#include "compiler/codegen/scratch_plan.h"
#include "compiler/ir/stmt.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace hone {

// The module is in `context`, which must outlive it.
StatusOr<std::unique_ptr<llvm::Module>> MakeModule(const Program& program, const Target& target,
                                                   const ScratchPlan& scratch,
                                                   const llvm::TargetMachine& machine,
                                                   llvm::LLVMContext& context);

}  // namespace hone
