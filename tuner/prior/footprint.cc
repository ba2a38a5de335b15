#include "tuner/prior/footprint.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr double kLine = 64;  // bytes of a cache line
constexpr double kWays = 8;   // of a cache: lines that may share a place

TensorUse MakeUse(const LoopNest& nest, Access access) {
  TensorUse use{.access = std::move(access)};
  for (const Expr& extent : nest.ShapeOf(use.access.tensor)) {
    use.shape.push_back(static_cast<double>(ExtentValue(extent, nest.params)));
  }
  use.spread.resize(use.access.indices.size(), 0);
  use.places.resize(use.access.indices.size(), 1);
  use.layout = LayoutOf(nest, use.access.tensor);
  use.element_bytes = static_cast<double>(DTypeBytes(nest.DTypeOf(use.access.tensor)));
  return use;
}

}  // namespace

TensorUse ReadOf(const LoopNest& nest, const LoadGroup& group) {
  TensorUse use = MakeUse(nest, group.access);
  use.loads = group.loads;
  use.spread = group.spread;
  use.places = group.places;
  return use;
}

TensorUse WriteOf(const LoopNest& nest, const StageNest& stage) {
  Access result{stage.stage.name, stage.stage.dtype, {}, false};
  for (const Dim& dim : stage.stage.dims) result.indices.push_back(Var(dim.name));
  TensorUse use = MakeUse(nest, std::move(result));
  use.written = true;
  return use;
}

std::vector<double> BoxOf(const TensorUse& use, const Extents& reach) {
  std::vector<double> box;
  for (size_t d = 0; d < use.shape.size(); ++d) {
    const double span = SpanOf(use.access.indices[d], reach);
    box.push_back(
        std::min({use.shape[d], span + use.spread[d], std::max(1.0, span) * use.places[d]}));
  }
  return box;
}

Runs RunsOf(const TensorUse& use, const std::vector<double>& box) {
  Runs runs{.bytes = use.element_bytes};
  double inside = use.element_bytes;  // bytes of all parts so far, whole
  bool side_by_side = true;
  for (auto part = use.layout.dims.rbegin(); part != use.layout.dims.rend(); ++part) {
    double whole = use.shape[part->dim];
    double used = std::min(box[part->dim], whole);
    if (part->divisor > 1) {
      whole = std::ceil(whole / static_cast<double>(part->divisor));
      used = std::ceil(used / static_cast<double>(part->divisor) - 1e-9);
    }
    if (part->modulus > 0) {
      whole = std::min(whole, static_cast<double>(part->modulus));
      used = std::min(used, static_cast<double>(part->modulus));
    }
    used = std::max(1.0, std::min(used, whole));
    if (side_by_side) {
      runs.bytes *= used;
      side_by_side = used >= whole;
    } else {
      if (used > 1 && runs.stride == 0) runs.stride = inside;
      runs.count *= used;
    }
    inside *= whole;
  }
  return runs;
}

double BytesOf(const Runs& runs) { return runs.count * std::ceil(runs.bytes / kLine) * kLine; }

double OccupiedBytes(const Runs& runs, double capacity) {
  const double lines_of_run = std::ceil(runs.bytes / kLine);
  const double lines = runs.count * lines_of_run;
  const auto way = static_cast<int64_t>(capacity / kWays);
  const auto stride = static_cast<int64_t>(runs.stride);
  if (way <= 0 || stride <= 0) return lines * kLine;
  const double apart = static_cast<double>(way / std::gcd(way, stride));
  const double sets = std::min(static_cast<double>(way) / kLine, apart * lines_of_run);
  if (lines <= kWays * sets) return lines * kLine;
  return lines * static_cast<double>(way) / sets;
}

}  // namespace hone
