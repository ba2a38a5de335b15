// The front door of the compiler: Workload + Schedule + Target in, Artifact out. Build workers and
// tests call it. Deterministic: the same input gives the same bytes. Knows no network and no
// database.
#pragma once

#include <functional>
#include <string>

#include "base/target.h"
#include "compiler/schedule/schedule.h"
#include "proto/artifact.pb.h"

namespace hone {

// Raised by hand when generated code changes in a way that makes old measurements misleading.
inline constexpr int kCodegenEpoch = 1;

struct CompileOptions {
  // Called after each lowering pass with its name and the program's text form, if set.
  std::function<void(absl::string_view pass, const std::string& text)> dump;
  // Check the program after every pass. Costs about as much as lowering itself.
  bool verify = false;
};

// Errors: InvalidArgument for a schedule that is illegal for the workload (naming the step),
// Unimplemented or FailedPrecondition for code the target cannot take.
StatusOr<pb::Artifact> Compile(const Workload& workload, const Schedule& schedule,
                               const Target& target, const CompileOptions& options = {});

}  // namespace hone
