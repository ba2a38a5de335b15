// The footprint of a tensor: which bytes of its layout a stage touches while its dims run over
// given extents. The register tile counts a block's reads with it, the cache misses what a cache
// has to hold. It knows neither loops nor caches beyond a capacity in bytes.
#pragma once

#include <vector>

#include "compiler/ir/layout.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/body_facts.h"
#include "tuner/space/access.h"

namespace hone {

// An access with what its tensor looks like.
struct TensorUse {
  Access access;
  bool written = false;
  double loads = 1;
  std::vector<double> spread;  // by index
  std::vector<double> places;  // by index
  std::vector<double> shape;   // logical; parameters at their maximum
  Layout layout;
  double element_bytes = 4;
};

TensorUse ReadOf(const LoopNest& nest, const LoadGroup& group);

// The stage's own result, point by point.
TensorUse WriteOf(const LoopNest& nest, const StageNest& stage);

// Logical extents of what the use touches, by dimension of the tensor, while each dim of the stage
// runs over its extent in `reach`. Places that lie farther apart than that count without the gaps.
std::vector<double> BoxOf(const TensorUse& use, const Extents& reach);

// What a box of logical extents takes up in the tensor's layout.
struct Runs {
  double count = 1;
  double bytes = 0;   // of each; they lie side by side
  double stride = 0;  // bytes from one to the next
};
Runs RunsOf(const TensorUse& use, const std::vector<double>& box);

// Bytes of the runs, of whole cache lines.
double BytesOf(const Runs& runs);

// How much of a cache of `capacity` bytes the runs keep from others, in bytes: more than their
// lines where these are a large power of two apart, so that few places of the cache have room for
// them.
double OccupiedBytes(const Runs& runs, double capacity);

}  // namespace hone
