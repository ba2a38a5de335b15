// The register tile of a stage: the vectors, rows and reduction steps of its straight-line block,
// and what one such block computes and reads. The facts of a nest are built with it; which cache
// the reads come from is not its concern.
#pragma once

#include "base/target.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/body_facts.h"
#include "tuner/prior/nest_bounds.h"
#include "tuner/prior/nest_facts.h"

namespace hone {

// Whether the tensor's values stay in registers between the stage that makes it and its host.
bool InRegisters(const TensorUse& use);

// Fills in `facts`, whose `reduces` is known, from `operations` to `tail_use`: what one point
// computes, and the block, `microkernel` and `tiles` included. `body` and `path`: of the stage.
void DescribeRegisterTile(const NestBounds& bounds, const BodyFacts& body, const Target& target,
                          const StageNest& stage, const LoopPath& path, StageFacts* facts);

}  // namespace hone
