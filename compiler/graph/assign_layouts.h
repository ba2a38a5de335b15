// Pass: chooses in which layout each tensor of a plan lies. Images between kernels that work on
// channels get these in blocks of a vector (NCHW8c); everything else stays as it is.
#pragma once

#include "compiler/graph/model_plan.h"

namespace hone {

// `lanes`: f32 lanes of the target's vectors; 1 leaves all layouts identities. A tensor is blocked
// if it is local, of rank 4, its channels divide by `lanes`, and every kernel that touches it
// indexes its channels plainly; tensors that share memory are blocked together or not at all.
// Kernels are split so that each has one set of layouts.
void AssignLayouts(ModelPlan& plan, int64_t lanes);

}  // namespace hone
