// What `hone devices` shows of a farm. Renders what a tracker answered; asks nobody.
#pragma once

#include <string>

#include "proto/builds.pb.h"
#include "proto/snapshot.pb.h"

namespace hone {

// A table with one line a device: its state, since when and why; below it what can be done for
// those that take no work, and a closing line on the queue.
std::string FarmReport(const pb::FarmSnapshot& farm, int width);

// Those who compile for the farm, with what is queued; "" if there is none.
std::string BuildersReport(const pb::ListBuildersReply& builders, const pb::CompilerVersion& mine,
                           int width);

}  // namespace hone
