// The sandbox of this machine as the agent learns of it: from the worker program, which tries the
// walls in a process made for that. So the level that is reported is one that the same program has
// really entered.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "device_agent/sandbox/level.h"

namespace hone {

// Runs `worker_program --probe-sandbox`: the highest level there is, or `wanted` where the machine
// gives at least that. FAILED_PRECONDITION when it gives less, with the cause and what to do.
StatusOr<SandboxReport> ProbeSandbox(const std::string& worker_program,
                                     std::optional<SandboxLevel> wanted);

// The report in what the program prints: one fact a line.
StatusOr<SandboxReport> ParseSandboxReport(absl::string_view text);

// `report` if it is at least `wanted`, lowered to that; else FAILED_PRECONDITION.
StatusOr<SandboxReport> RequireSandbox(SandboxReport report, SandboxLevel wanted);

}  // namespace hone
