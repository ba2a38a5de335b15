#include "compiler/compile.h"

#include "compiler/codegen/code_generator.h"

namespace hone {

StatusOr<Program> LowerWorkload(const Workload& workload, const Schedule& schedule,
                                const Target& target, const LowerOptions& options) {
  HONE_ASSIGN_OR_RETURN(LoopNest nest, ApplySchedule(schedule, workload));
  return Lower(nest, target, options);
}

StatusOr<pb::Artifact> Compile(const Workload& workload, const Schedule& schedule,
                               const Target& target, const LowerOptions& options) {
  HONE_ASSIGN_OR_RETURN(LoopNest nest, ApplySchedule(schedule, workload));
  HONE_ASSIGN_OR_RETURN(Program program, Lower(nest, target, options));
  HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, GenerateCode(program, target));
  for (pb::BufferInfo& info : *artifact.mutable_manifest()->mutable_buffers()) {
    auto layout = nest.layouts.find(info.name());
    if (layout != nest.layouts.end()) info.set_layout(layout->second.ToString());
  }
  return artifact;
}

}  // namespace hone
