// What the rules for whole chains of stages share: which loops all stages have, and which loop of a
// stage runs in vectors: the output's fastest dim, or the dim that is reduced when the operands lie
// side by side along that one. Looks at index maps alone.
#pragma once

#include <string>
#include <vector>

#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

// How many leading dims of the output every other stage has as well, at the same extents, and reads
// at the same place: inside these loops all stages can be computed.
size_t SharedRows(const RuleInput& input);

// The dim along which the stage's vectors run; empty if its reads allow none.
struct StageVectors {
  std::string dim;
  bool reduces = false;  // lanes hold partial results
};
StageVectors StageVectorsOf(const RuleInput& input, const StageNest& stage);

// The lines that vectorize the stage so, no tile of its rows being written yet: its loops as memory
// has them, a reduction's inside. `width`: points of an output tile, a number or a hole. Returns
// the loops in their order, for what else is to be said of them.
std::vector<std::string> WriteStageVectors(const RuleInput& input, const StageNest& stage,
                                           const StageVectors& vectors, absl::string_view width,
                                           SketchWriter& writer);

}  // namespace hone
