#include "tuner/space/derive.h"

#include "absl/strings/str_cat.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {
namespace {

using Rule = std::vector<Sketch> (*)(const RuleInput&);

// Each rule that applies adds its sketches. The general rule is asked last: its sketches are what
// remains where no other applies, and a safe ground where they do.
constexpr Rule kRules[] = {ContractionRule, WinogradRule, DepthwiseRule, ReductionRule,
                           ElementwiseRule, CopyRule,     GeneralRule};

// Whether `output` reads `anchor` point by point: each index a different dim of the output.
bool ReadsPointwise(const StageNest& output, const StageNest& anchor) {
  int reads = 0;
  for (const Access& access : AccessesOf(output.stage.body)) {
    if (access.tensor != anchor.stage.name) continue;
    ++reads;
    if (!access.IsPlain() || access.padded) return false;
    for (const Expr& index : access.indices) {
      if (index.kind() != ExprKind::kVar) return false;
    }
  }
  return reads == 1;
}

}  // namespace

std::string BoundaryLayoutLines(const Workload& workload, const std::vector<Layout>& layouts) {
  std::string lines;
  for (size_t b = 0; b < workload.buffers.size() && b < layouts.size(); ++b) {
    if (layouts[b].IsIdentity()) continue;
    absl::StrAppend(&lines, "layout ", workload.buffers[b].name, " ", layouts[b].ToString(), "\n");
  }
  return lines;
}

StatusOr<std::vector<Sketch>> DeriveSketches(const Workload& workload,
                                             const std::vector<Layout>& layouts,
                                             const Target& target) {
  if (layouts.size() != workload.buffers.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the workload has ", workload.buffers.size(),
                                                   " buffers, but ", layouts.size(),
                                                   " layouts were given; give one a buffer"));
  }
  LoopNest nest(workload);
  const std::string layout_lines = BoundaryLayoutLines(workload, layouts);
  std::string first_lines = layout_lines;
  for (size_t b = 0; b < layouts.size(); ++b) {
    if (layouts[b].IsIdentity()) continue;
    HONE_RETURN_IF_ERROR(Apply(LayoutStep{workload.buffers[b].name, layouts[b]}, nest));
  }
  // Elementwise stages are written into their readers; a stage that several read would be computed
  // several times, and stays.
  for (const Stage& stage : workload.stages) {
    if (stage.combiner != Combiner::kNone || nest.ConsumersOf(stage.name).size() != 1) continue;
    const InlineStep step{stage.name};
    if (Apply(step, nest).ok()) absl::StrAppend(&first_lines, ToString(step), "\n");
  }
  // An output that reduces gets its accumulators apart, so that they can live in registers.
  if (nest.stages.size() == 1 && nest.stages[0].stage.combiner != Combiner::kNone) {
    const AccumulateStep step{nest.stages[0].stage.name};
    HONE_RETURN_IF_ERROR(Apply(step, nest));
    absl::StrAppend(&first_lines, ToString(step), "\n");
  }

  RuleInput input{nest, target, SketchWriter("", first_lines)};
  input.output = &nest.stages.back();
  if (nest.stages.size() == 2 && nest.stages[0].stage.combiner != Combiner::kNone &&
      input.output->stage.combiner == Combiner::kNone &&
      ReadsPointwise(*input.output, nest.stages[0])) {
    input.anchor = &nest.stages[0];
  }
  std::vector<Sketch> sketches;
  for (Rule rule : kRules) {
    for (Sketch& sketch : rule(input)) sketches.push_back(std::move(sketch));
  }
  sketches.push_back(SketchWriter("plain", layout_lines).Finish());
  return sketches;
}

}  // namespace hone
