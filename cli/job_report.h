// Tuning jobs as people see them: the table of `hone jobs`. Pure: from what the tracker says to
// text.
#pragma once

#include <string>

#include "proto/tuning.pb.h"

namespace hone {

// "queued", "running", "done", "failed", "cancelled"
std::string JobPhaseName(pb::JobPhase phase);

// All jobs that are open, and with `all` those that have ended too. `width` as Table::Render has
// it.
std::string JobReport(const pb::ListJobsReply& jobs, bool all, int width);

}  // namespace hone
