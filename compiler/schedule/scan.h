// Scan: a stage that reads itself one index earlier along one of its dims, its steps: a state that
// goes from step to step, such as a running maximum. Algorithm steps make scans, never a workload;
// the steps that move loops and the lowering ask here what they are. Nothing is rewritten here.
//
//   r[m,t] = max(b[m,t], r[m,t-1 else -inf])
//
// A scan inside another one's loop over steps keeps step with it: its state is there before that
// loop begins, goes on with each iteration, and is still there after the loop.
//
//   at r c t       r = -inf            (c is a scan along t)
//                  for t: r = max(b, r); c = c * .. + ..
//                  y = c / r           what is read later is the last step
#pragma once

#include <optional>

#include "compiler/schedule/loop_nest.h"

namespace hone {

struct Scan {
  size_t dim = 0;  // of the stage's dims: the one of the steps
  Expr initial;    // what the step before the first one left
};

// Nothing when the stage does not read itself so.
std::optional<Scan> FindScan(const Stage& stage);

// Whether the stage is a scan computed in its host's loop over the host's own steps.
bool KeepsStep(const LoopNest& nest, const StageNest& stage);

// Whether `reader` reads of the scan nothing but the last step.
bool ReadsLastStepOnly(const Stage& reader, const Stage& stage, const Scan& scan);

// InvalidArgument when the loop goes over the steps of a scan: these come one after the other.
Status RefuseStepLoop(const StageNest& stage, absl::string_view loop);

}  // namespace hone
