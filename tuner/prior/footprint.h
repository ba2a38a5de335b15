// The footprint of a tensor: which bytes of its layout a stage touches while its dims run over
// given extents. The register tile counts a block's reads with it, the cache misses what a cache
// has to hold. It knows neither loops nor caches beyond a capacity in bytes.
#pragma once

#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "compiler/ir/layout.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/body_facts.h"

namespace hone {

// One number a dim, or a few more.
using Extents = absl::InlinedVector<double, 8>;

// Loads, or the result, of a stage with what their tensor looks like.
struct TensorUse {
  const LoadGroup* load = nullptr;
  bool written = false;
  const Buffer* buffer = nullptr;       // the tensor at the kernel's boundary, if it is there
  const StageNest* producer = nullptr;  // the stage that computes it, if one does
  Extents shape;                        // logical; parameters at their maximum
  const Layout* layout = nullptr;       // null: as the shape says
  double element_bytes = 4;

  const std::string& tensor() const { return load->access.tensor; }
};

// Both must outlive the use.
TensorUse UseOf(const LoopNest& nest, const LoadGroup& load);

// Logical extents of what the use touches, by dimension of the tensor, while each dim of the stage,
// then each that it reduces, runs over its extent in `reach`. Places that lie farther apart than
// that count without the gaps.
Extents BoxOf(const TensorUse& use, absl::Span<const double> reach);

// What a box of logical extents takes up in the tensor's layout.
struct Runs {
  double count = 1;
  double bytes = 0;   // of each; they lie side by side
  double stride = 0;  // bytes from one to the next
};
Runs RunsOf(const TensorUse& use, absl::Span<const double> box);

// Bytes of the runs, of whole cache lines.
double BytesOf(const Runs& runs);

// How much of a cache of `capacity` bytes the runs keep from others, in bytes: more than their
// lines where these are a large power of two apart, so that few places of the cache have room for
// them.
double OccupiedBytes(const Runs& runs, double capacity);

}  // namespace hone
