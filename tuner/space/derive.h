// DeriveSketches: the search space of a workload. The front door of this folder: the tuner searches
// what it gives, the prior picks the default schedule from it.
#pragma once

#include <vector>

#include "base/target.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"
#include "tuner/space/sketch.h"

namespace hone {

// `layouts`: one a buffer, the layouts at the kernel's boundary. The last sketch has no holes and
// is legal for every workload: plain loops. Error: layouts that do not fit the workload.
StatusOr<std::vector<Sketch>> DeriveSketches(const Workload& workload,
                                             const std::vector<Layout>& layouts,
                                             const Target& target);

// The lines `layout x ...` for the boundary buffers whose layout is not the identity.
std::string BoundaryLayoutLines(const Workload& workload, const std::vector<Layout>& layouts);

}  // namespace hone
