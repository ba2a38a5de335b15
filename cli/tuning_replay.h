// `hone tune --replay`: the latest run of a command again, from its records alone, and whether it
// proposes the same. Needs no device, no farm and no compiler, and writes nothing to the database.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/numerics.h"
#include "cli/console.h"
#include "cli/exit_code.h"
#include "cli/tune_command.h"

namespace hone {

// Ends with kCheckFailed where a batch was proposed otherwise. NotFound without a database, or
// without a run of these kernels in it.
StatusOr<ExitCode> ReplayTuning(const TuneOptions& options, Numerics numerics,
                                const std::string& database, const Clock& clock,
                                const Console& console);

}  // namespace hone
