// A farm's device as the place where a compiled model runs: package and inputs go there as blobs,
// once, the tracker lends no device but has the model run on one, and what it gave comes back. Used
// by model_place.cc alone. The model's code is never loaded here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/model_place.h"

namespace hone {

// `interrupted`: asked now and then; once it says so, the run is cancelled, and the place's call
// ends with Cancelled. Null: Ctrl-C says so. Errors of the calls: what the model did on the device
// (Internal for a crash, DeadlineExceeded for the time limit, what its library there said),
// FailedPrecondition if no device could ever run it, Unavailable when none was free in time.
StatusOr<std::unique_ptr<ModelPlace>> OpenModelForDevice(const std::string& path,
                                                         const PlaceChoice& choice,
                                                         std::function<bool()> interrupted,
                                                         const Console& console);

}  // namespace hone
