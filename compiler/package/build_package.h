// The last step of `hone compile`: a ModelPlan and one Artifact a kernel become one shared object
// with everything inside, prepared weights, code and the program that calls it, in the form that
// runtime/hone.h runs. No linker, no LLVM.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "base/target.h"
#include "compiler/graph/model_plan.h"
#include "proto/artifact.pb.h"

namespace hone {

// `artifacts` has one entry a kernel of the plan. `target` is what they were compiled for; its
// thread count is the model's default. Returns the bytes of model.so. Errors: artifacts that do not
// fit the plan (Internal), code made for a machine other than this one (FailedPrecondition, as
// `prepare` must run here), forms the format lacks (Unimplemented).
StatusOr<std::string> BuildPackage(const ModelPlan& plan,
                                   const std::vector<pb::Artifact>& artifacts,
                                   const Target& target);

}  // namespace hone
