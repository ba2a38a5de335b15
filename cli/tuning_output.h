// What `hone tune` leaves behind for people when it ends: the table, and the page of --report. The
// same for a run and for its replay.
#pragma once

#include <string>

#include "cli/console.h"
#include "cli/tune_command.h"
#include "cli/tuning_page.h"
#include "tuner/tuning_state.h"
#include "tuner/tuning_task.h"

namespace hone {

// What would keep the page from being written when all is measured: better known before. It is
// written beside its place and renamed, so the folder decides; a device or pipe is taken as it is.
Status CheckReportCanBeWritten(const std::string& report);

// Prints the table, and writes the page where one is asked for. `facts` holds what the options do
// not.
Status PrintTuning(const TuneOptions& options, const TuningOptions& tuning,
                   const TuningState& state, TuningFacts facts, const Console& console);

}  // namespace hone
