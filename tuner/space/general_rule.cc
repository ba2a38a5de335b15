// Everything: the stages one after the other; vectors where all reads allow.
#include "absl/strings/str_cat.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"
#include "tuner/space/stage_vectors.h"

namespace hone {

std::vector<Sketch> GeneralRule(const RuleInput& input) {
  SketchWriter writer = input.begin.Continue("stages");
  const std::string width = absl::StrCat(input.target.FloatLanes());
  for (const StageNest& stage : input.nest.stages) {
    WriteStageVectors(input, stage, StageVectorsOf(input, stage), width, writer);
  }
  return {writer.Finish()};
}

}  // namespace hone
