// How rules place the copies of operands: weights packed ahead into panels, padded inputs copied
// with their border. Used by the contraction, depthwise and reduction rules.
#pragma once

#include <string>
#include <vector>

#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

// `cache` and `layout` lines of a copy of what `stage` reads of access.tensor, in the tensor's own
// layout, vectorised where that is easy. With `parallel`, the copy is shared between threads; it
// must then stay at the root. With a `stride` of more than 1 the dim that lies side by side falls
// apart into as many phases, so that every stride-th element is the next one in memory.
void WriteBorderCopy(const RuleInput& input, const Access& access, const StageNest& stage,
                     bool parallel, SketchWriter& writer, int64_t stride = 1);

// How far apart in memory the elements lie that a vector along `dim` reads: the `stride` of a copy
// that puts them side by side. 1 where they lie so already, or no such copy does it.
int64_t VectorStrideOf(const RuleInput& input, const Access& access, absl::string_view dim);

// A dim of a packed panel and the hole (or number) it is blocked by; "" for none.
struct PanelDim {
  std::string dim;
  std::string block;
};

// Lines for a copy of access.tensor in panels: `outer` blocks outermost first (each dim / block),
// then the dims' rests (dim % block) in the order of `inner`. Tensor dims that no PanelDim names
// come first. In `prepare` when the tensor is a constant; otherwise in vectors along the last of
// `inner`, and with `parallel`, for which it must stay at the root, shared between threads.
void WritePanelCopy(const RuleInput& input, const Access& access, const StageNest& stage,
                    const std::vector<PanelDim>& outer, const std::vector<PanelDim>& inner,
                    bool parallel, SketchWriter& writer);

}  // namespace hone
