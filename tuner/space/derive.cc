#include "tuner/space/derive.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"
#include "tuner/space/stage_vectors.h"

namespace hone {
namespace {

using Rule = std::vector<Sketch> (*)(const RuleInput&);

// Each rule that applies adds its sketches. The general rule is asked last: its sketches are what
// remains where no other applies, and a safe ground where they do.
constexpr Rule kRules[] = {ContractionRule, DotRule,         TileRule,
                           WinogradRule,    StrassenRule,    DepthwiseRule,
                           ReductionRule,   ElementwiseRule, CopyRule};
// These say of every stage how it is computed, prologues included.
constexpr Rule kChainRules[] = {StripRule, RunningRule, RowRule, GeneralRule};

// Readers of so many points a point of the stage make even one operation worth keeping.
constexpr int64_t kManyReads = 8;

// Whether writing the stage into its reader would compute much again: a division or a function more
// than once, anything many times (what is known once a row, where the reader goes over the row).
bool RepeatsWork(const LoopNest& nest, const Stage& stage, const Stage& reader) {
  bool works = false;
  bool slow = false;
  Visit(stage.body, [&](const Expr& e) {
    if (!IsFloat(e.type().dtype)) return;
    const bool unary = e.kind() == ExprKind::kUnary;
    const bool binary = e.kind() == ExprKind::kBinary;
    works |= unary || binary || e.kind() == ExprKind::kFma || e.kind() == ExprKind::kCast;
    slow |= unary && e->unary != UnaryOp::kNeg && e->unary != UnaryOp::kAbs;
    slow |= binary && (e->binary == BinaryOp::kDiv || e->binary == BinaryOp::kPow);
  });
  auto points = [&](const Stage& s) {
    int64_t count = 1;
    for (const std::vector<Dim>* dims : {&s.dims, &s.reduce}) {
      for (const Dim& dim : *dims) count *= ExtentValue(dim.extent, nest.params);
    }
    return count;
  };
  return (slow && points(reader) > points(stage)) ||
         (works && points(reader) >= kManyReads * points(stage));
}

// Whether computing the stage again for each reader costs no more than keeping it: one operation on
// what is read, and not the epilogue of a sum, which belongs to the sum's tile.
bool IsCheapToRepeat(const LoopNest& nest, const Stage& stage) {
  int operations = 0;
  bool epilogue = false;
  Visit(stage.body, [&](const Expr& e) {
    operations += e.kind() != ExprKind::kLoad && !e.args().empty() && IsFloat(e.type().dtype);
    if (e.kind() != ExprKind::kLoad) return;
    const StageNest* read = nest.FindStage(e->name);
    epilogue |= read != nullptr && read->stage.combiner != Combiner::kNone &&
                read->stage.dims.size() >= stage.dims.size();
  });
  return operations <= 1 && !epilogue;
}

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

// Whether the last stage is the epilogue of the one before, a reduction, and all others compute the
// reduction's operands and nothing else, each point by itself.
bool IsAnchored(const LoopNest& nest) {
  const size_t count = nest.stages.size();
  if (count < 2) return false;
  const StageNest& output = nest.stages[count - 1];
  const StageNest& anchor = nest.stages[count - 2];
  if (anchor.stage.combiner == Combiner::kNone || output.stage.combiner != Combiner::kNone ||
      !ReadsPointwise(output, anchor)) {
    return false;
  }
  for (size_t s = 0; s + 2 < count; ++s) {
    const Stage& stage = nest.stages[s].stage;
    if (stage.combiner != Combiner::kNone || nest.FindBuffer(stage.name) != nullptr) return false;
    for (const std::string& reader : nest.ConsumersOf(stage.name)) {
      if (reader == output.stage.name) return false;
    }
  }
  return true;
}

// Gives the stage the layout of what it reads, where that has the same dims in the same order, and
// its place ahead, where it depends on constants alone. Returns the lines that say so.
std::string PlacePrologue(const std::string& name, LoopNest& nest) {
  std::string lines;
  const StageNest& stage = *nest.FindStage(name);
  for (const Access& access : AccessesOf(stage.stage.body)) {
    const Layout layout = LayoutOf(nest, access.tensor);
    bool alike = !layout.IsIdentity() && access.indices.size() == stage.stage.dims.size();
    for (size_t d = 0; alike && d < access.indices.size(); ++d) {
      alike = access.indices[d].IsVar(stage.stage.dims[d].name);
    }
    if (!alike) continue;
    const LayoutStep step{name, layout};
    if (Apply(step, nest).ok()) absl::StrAppend(&lines, ToString(step), "\n");
    break;
  }
  const PrepareStep prepare{name};
  if (Apply(prepare, nest).ok()) absl::StrAppend(&lines, ToString(prepare), "\n");
  return lines;
}

// Its loops, in vectors. What runs ahead is not parallel.
void WritePrologue(const RuleInput& input, const StageNest& stage, bool parallel,
                   SketchWriter& writer) {
  const StageVectors vectors = StageVectorsOf(input, stage);
  const std::string width = absl::StrCat(input.target.FloatLanes());
  const std::vector<std::string> loops = WriteStageVectors(input, stage, vectors, width, writer);
  if (!parallel || stage.placement == Placement::kPrepare || loops[0] == vectors.dim) return;
  if (absl::StrContains(loops[0], '.')) return;
  writer.Line("parallel ", stage.stage.name, " ", loops[0]);
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
                                             const Target& target, Numerics numerics) {
  HONE_RETURN_IF_ERROR(CheckNumerics(numerics, target));
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
  // Elementwise stages are written into their readers, unless that computes again what costs more
  // than to be kept.
  for (const Stage& stage : workload.stages) {
    const std::vector<std::string> readers = nest.ConsumersOf(stage.name);
    if (stage.combiner != Combiner::kNone || readers.empty()) continue;
    const Stage& now = nest.FindStage(stage.name)->stage;  // others may be written into it
    if (readers.size() > 1 && !IsCheapToRepeat(nest, now)) continue;
    if (RepeatsWork(nest, now, nest.FindStage(readers[0])->stage)) continue;
    const InlineStep step{stage.name};
    if (Apply(step, nest).ok()) absl::StrAppend(&first_lines, ToString(step), "\n");
  }
  // An output that reduces what is read, or computed point by point, gets its accumulators apart,
  // so that they can live in registers.
  const auto reductions =
      std::count_if(nest.stages.begin(), nest.stages.end(),
                    [](const StageNest& stage) { return stage.stage.combiner != Combiner::kNone; });
  if (reductions == 1 && nest.stages.back().stage.combiner != Combiner::kNone) {
    const AccumulateStep step{nest.stages.back().stage.name};
    HONE_RETURN_IF_ERROR(Apply(step, nest));
    absl::StrAppend(&first_lines, ToString(step), "\n");
  }

  // Stages before the anchor that compute its operands: prologues.
  const size_t prologues = IsAnchored(nest) ? nest.stages.size() - 2 : 0;
  for (size_t s = 0; s < prologues; ++s) {
    absl::StrAppend(&first_lines, PlacePrologue(nest.stages[s].stage.name, nest));
  }
  RuleInput input{nest, target, SketchWriter("", first_lines)};
  input.numerics = numerics;
  input.output = &nest.stages.back();
  if (IsAnchored(nest)) input.anchor = &nest.stages[prologues];
  input.begin_near = input.begin;
  const RuleInput chain = input;
  for (size_t s = 0; s < prologues; ++s) {
    input.producers.push_back(&nest.stages[s]);
    WritePrologue(input, nest.stages[s], target.threads > 1, input.begin);
    WritePrologue(input, nest.stages[s], /*parallel=*/false, input.begin_near);
  }
  std::vector<Sketch> sketches;
  for (Rule rule : kRules) {
    for (Sketch& sketch : rule(input)) sketches.push_back(std::move(sketch));
  }
  for (Rule rule : kChainRules) {
    for (Sketch& sketch : rule(chain)) sketches.push_back(std::move(sketch));
  }
  sketches.push_back(SketchWriter("plain", layout_lines).Finish());
  return sketches;
}

}  // namespace hone
