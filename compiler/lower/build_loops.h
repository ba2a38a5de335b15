// The first step of lowering: a scheduled LoopNest becomes loops over logical indices, with every
// extent resolved, tails as loops of their own, and each attached stage computed for just the
// region that the code around it reads.
#pragma once

#include <map>
#include <string>

#include "compiler/ir/layout.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

struct BuiltLoops {
  Program program;  // buffers with logical shapes; accesses with logical indices
  std::map<std::string, Layout> layouts;  // of the program's buffers, local ones too
};

// Errors: InvalidArgument when the schedule cannot be built (an inner loop outside its outer one,
// a region that cannot be bounded), naming stage and loop.
StatusOr<BuiltLoops> BuildLoops(const LoopNest& nest);

}  // namespace hone
