// The front door of the compiler: Workload + Schedule + Target in, Artifact out. Build workers and
// tests call it. Deterministic: the same input gives the same bytes. Knows no network and no
// database.
#pragma once

#include "base/target.h"
#include "compiler/ir/workload.h"
#include "compiler/lower/lower.h"
#include "compiler/schedule/schedule.h"
#include "proto/artifact.pb.h"

namespace hone {

// Raised by hand when generated code changes in a way that makes old measurements misleading.
inline constexpr int kCodegenEpoch = 5;

// Workload and schedule as the plain loops that code is generated from.
StatusOr<Program> LowerWorkload(const Workload& workload, const Schedule& schedule,
                                const Target& target, const LowerOptions& options = {});

// Errors: InvalidArgument for a schedule that is illegal for the workload (naming the step),
// Unimplemented or FailedPrecondition for code the target cannot take.
StatusOr<pb::Artifact> Compile(const Workload& workload, const Schedule& schedule,
                               const Target& target, const LowerOptions& options = {});

}  // namespace hone
