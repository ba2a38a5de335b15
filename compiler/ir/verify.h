// What a loop program may contain, checked: names, types and shapes at every stage, and what only a
// lowered program keeps to. Run after lowering passes in tests, dumps and verifying builds; a
// violation is a pass's bug, told as a Status so that the candidate fails and not the process.
#pragma once

#include "base/status.h"
#include "compiler/ir/stmt.h"

namespace hone {

enum class ProgramStage {
  // Loops over logical or physical indices, as first built: an access has an index for each
  // dimension or a flat one; loads may have `otherwise`; vector and unrolled loops may be there.
  kBuilt,
  // What code generators take: one flat index an access, no `otherwise`, no vector or unrolled
  // loops, parallel loops outermost, register buffers indexed by constants.
  kLowered,
};

// InvalidArgument naming the buffer, variable or loop and the function it is in.
Status Verify(const Program& program, ProgramStage stage);

}  // namespace hone
