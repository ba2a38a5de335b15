// DeriveSketches: the search space of a workload. The front door of this folder: the tuner searches
// what it gives, the prior picks the default schedule from it.
#pragma once

#include <vector>

#include "base/numerics.h"
#include "base/target.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"
#include "tuner/space/sketch.h"

namespace hone {

// `layouts`: one a buffer, the layouts at the kernel's boundary. Sketches keep to the algorithms of
// the numerics class. The last one has no holes and is legal for every workload: plain loops.
// Errors: layouts that do not fit the workload; Unimplemented for a class that nothing is derived
// of.
StatusOr<std::vector<Sketch>> DeriveSketches(const Workload& workload,
                                             const std::vector<Layout>& layouts,
                                             const Target& target,
                                             Numerics numerics = Numerics::kFp32);

// The lines `layout x ...` for the boundary buffers whose layout is not the identity.
std::string BoundaryLayoutLines(const Workload& workload, const std::vector<Layout>& layouts);

}  // namespace hone
