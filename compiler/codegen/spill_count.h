// Reads from an object's machine code how many vector registers its loops spill: stores and loads
// of vector registers relative to the stack pointer. Zero for every legal register tile; other
// values do not rank kernels.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "llvm/Target/TargetMachine.h"

namespace hone {

// Of a relocatable object that `machine` made.
StatusOr<int> CountSpills(absl::string_view object, const llvm::TargetMachine& machine);

// The object's instructions as assembly text, one a line, functions headed by "name:". For tests
// and dumps.
StatusOr<std::string> Disassemble(absl::string_view object, const llvm::TargetMachine& machine);

}  // namespace hone
