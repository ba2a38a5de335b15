// How many steps of a scan lie in memory at a time: those that something still reads. The loop
// builder folds the dim of steps to so many slots, one step after the other in the next one. No
// statements are built here.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "compiler/schedule/scan.h"

namespace hone {

// 1 where each step takes the place of the one before, 2 where that one is read beside it; 0: all
// steps stay. Errors: InvalidArgument when the scan keeps step with its host and something there
// reads other steps than these.
StatusOr<int64_t> ScanSlots(const LoopNest& nest, const StageNest& stage, const Scan& scan);

}  // namespace hone
