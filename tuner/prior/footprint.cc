#include "tuner/prior/footprint.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "base/check.h"

namespace hone {
namespace {

constexpr double kLine = 64;  // bytes of a cache line
constexpr double kWays = 8;   // of a cache: lines that may share a place

}  // namespace

TensorUse UseOf(const LoopNest& nest, const LoadGroup& load) {
  TensorUse use{.load = &load};
  use.buffer = nest.FindBuffer(use.tensor());
  use.producer = nest.FindStage(use.tensor());
  const auto add = [&](const Expr& extent) {
    use.shape.push_back(static_cast<double>(ExtentValue(extent, nest.params)));
  };
  HONE_CHECK(use.buffer != nullptr || use.producer != nullptr)
      << "no buffer or stage " << use.tensor();
  if (use.buffer != nullptr) {
    for (const Expr& extent : use.buffer->shape) add(extent);
  } else {
    for (const Dim& dim : use.producer->stage.dims) add(dim.extent);
  }
  const auto layout = nest.layouts.find(use.tensor());
  if (layout != nest.layouts.end()) use.layout = &layout->second;
  const DType dtype = use.buffer != nullptr ? use.buffer->dtype : use.producer->stage.dtype;
  use.element_bytes = static_cast<double>(DTypeBytes(dtype));
  return use;
}

Extents BoxOf(const TensorUse& use, absl::Span<const double> reach) {
  const LoadGroup& load = *use.load;
  Extents box;
  for (size_t d = 0; d < use.shape.size(); ++d) {
    const double span = load.spans[d].Over(reach);
    box.push_back(
        std::min({use.shape[d], span + load.spread[d], std::max(1.0, span) * load.places[d]}));
  }
  return box;
}

Runs RunsOf(const TensorUse& use, absl::Span<const double> box) {
  Runs runs{.bytes = use.element_bytes};
  double inside = use.element_bytes;  // bytes of all parts so far, whole
  bool side_by_side = true;
  // Outwards, one part of the memory after the other.
  const auto add = [&](double whole, double used) {
    used = std::max(1.0, std::min(used, whole));
    if (side_by_side) {
      runs.bytes *= used;
      side_by_side = used >= whole;
    } else {
      if (used > 1 && runs.stride == 0) runs.stride = inside;
      runs.count *= used;
    }
    inside *= whole;
  };
  if (use.layout == nullptr) {
    for (size_t d = use.shape.size(); d-- > 0;) add(use.shape[d], box[d]);
    return runs;
  }
  for (auto part = use.layout->dims.rbegin(); part != use.layout->dims.rend(); ++part) {
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
    add(whole, used);
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
