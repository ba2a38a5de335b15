// Lowering: a scheduled LoopNest becomes a plain loop program that a code generator can emit as it
// stands. The passes and their order are in lower.cc; compile.cc calls it.
#pragma once

#include <functional>

#include "base/target.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

struct LowerOptions {
  // Called after each pass with its name, if set.
  std::function<void(absl::string_view pass, const Program& program)> after_pass;
};

// The result has flat indices, no vector or unrolled loops, and registers indexed by constants.
// Errors: InvalidArgument when the schedule cannot be built for this workload and target.
StatusOr<Program> Lower(const LoopNest& nest, const Target& target,
                        const LowerOptions& options = {});

}  // namespace hone
