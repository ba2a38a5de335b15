// Which sizes of a schedule's tiles can be left to run time, so that one compilation serves all of
// them: blocks of whole register tiles, or of loops outside of any. The tuner compiles candidates
// in this form; what it finds is compiled again with the numbers. Decides nothing about which sizes
// are good.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/schedule.h"

namespace hone {

// A schedule with parameters, and the values at which it blocks as the one it was made of.
struct OpenSchedule {
  Schedule schedule;
  std::map<std::string, int64_t> params;
};

// `nest`: the schedule applied to its workload. Two schedules that differ in these sizes alone give
// the same open schedule. None where no size can be left open.
std::optional<OpenSchedule> LeaveBlocksOpen(const Schedule& schedule, const LoopNest& nest);

}  // namespace hone
