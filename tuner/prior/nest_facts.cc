#include "tuner/prior/nest_facts.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "compiler/ir/simplify.h"
#include "tuner/prior/body_facts.h"
#include "tuner/prior/cache_misses.h"
#include "tuner/prior/footprint.h"
#include "tuner/prior/nest_bounds.h"
#include "tuner/prior/register_tile.h"
#include "tuner/prior/stage_loops.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr int64_t kIndexValuesMax = 4096;  // of an index that are looked at one by one

// Of all values of the stage's dims, the share for which the index lies in [0, extent).
double ShareBelow(const LoopNest& nest, const StageNest& stage, const LinearForm& index,
                  int64_t extent) {
  std::vector<int64_t> values = {index.constant};
  for (const LinearForm::Term& term : index.terms) {
    if (term.atom.kind() != ExprKind::kVar) return 1;
    const int64_t count = DimExtent(nest, stage, term.atom->name);
    if (count * static_cast<int64_t>(values.size()) > kIndexValuesMax) return 1;
    std::vector<int64_t> more;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t value : values) more.push_back(value + i * term.coefficient);
    }
    values = std::move(more);
  }
  const auto inside = std::count_if(values.begin(), values.end(),
                                    [&](int64_t value) { return value >= 0 && value < extent; });
  return values.empty() ? 1 : static_cast<double>(inside) / static_cast<double>(values.size());
}

// Share of the points of a sum of products that lowering does not leave out (lower/trim_padding):
// those at which no factor is a padding of zero, unless vectors run into it.
double ShareInside(const LoopNest& nest, const StageNest& stage) {
  const Expr& body = stage.stage.body;
  if (stage.stage.combiner != Combiner::kSum || body.kind() != ExprKind::kBinary ||
      body->binary != BinaryOp::kMul) {
    return 1;
  }
  const std::string vector_dim = DimOf(stage, VectorLoopOf(stage));
  double share = 1;
  for (const Expr& factor : body.args()) {
    if (factor.kind() != ExprKind::kLoad || !factor->has_otherwise) continue;
    const Expr padding = Otherwise(factor);
    if (padding.kind() != ExprKind::kFloat || padding->float_value != 0) continue;
    const std::vector<Expr> indices = Indices(factor);
    const std::vector<Expr> shape = nest.ShapeOf(factor->name);
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!vector_dim.empty() && UsesVar(indices[d], vector_dim)) continue;
      share *=
          ShareBelow(nest, stage, Linearize(indices[d], {}), ExtentValue(shape[d], nest.params));
    }
  }
  return share;
}

StageFacts AnalyzeStage(const NestBounds& bounds, const BodyFacts& body, const Target& target,
                        const StageNest& stage, CacheMisses* misses) {
  StageFacts facts;
  facts.stage = stage.stage.name;
  facts.reduces = stage.stage.combiner != Combiner::kNone;
  const LoopPath path = bounds.PathOf(stage);
  facts.parallel = path.parallel;
  double points = 1;
  for (size_t i = 0; i < path.trips.size(); ++i) {
    points *= path.trips[i];
    if (i < path.own) facts.invocations *= path.trips[i];
  }
  facts.points = points * ShareInside(bounds.nest(), stage);
  DescribeRegisterTile(bounds, body, target, stage, path, &facts);
  misses->Describe(stage, path, &facts);
  return facts;
}

}  // namespace

std::shared_ptr<const BodyFacts> NestAnalyzer::FactsOf(const Stage& stage) {
  std::shared_ptr<const BodyFacts>& facts = bodies_[{stage.body.get(), stage.name}];
  if (facts == nullptr || !facts->AreOf(stage)) facts = std::make_shared<const BodyFacts>(stage);
  return facts;
}

NestFacts NestAnalyzer::Analyze(const LoopNest& nest) {
  std::vector<std::shared_ptr<const BodyFacts>> kept;
  std::vector<const BodyFacts*> bodies;
  for (const StageNest& stage : nest.stages) {
    kept.push_back(FactsOf(stage.stage));
    bodies.push_back(kept.back().get());
  }
  const NestBounds bounds(nest, bodies);
  CacheMisses misses(bounds, target_);
  NestFacts facts;
  for (size_t s = 0; s < nest.stages.size(); ++s) {
    const StageNest& stage = nest.stages[s];
    if (stage.placement == Placement::kInline || bounds.IsPrepared(stage)) continue;
    facts.stages.push_back(AnalyzeStage(bounds, *bodies[s], target_, stage, &misses));
  }
  misses.ShareWhatIsNear(&facts);
  return facts;
}

NestFacts AnalyzeNest(const LoopNest& nest, const Target& target) {
  return NestAnalyzer(target).Analyze(nest);
}

}  // namespace hone
