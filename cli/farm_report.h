// What `hone devices` shows of a farm. Renders what a tracker answered; asks nobody.
#pragma once

#include <cstdint>
#include <string>

#include "proto/builds.pb.h"
#include "rpc/farm_client.h"

namespace hone {

// A table with one line a device and a closing line on the queue.
std::string FarmReport(const FarmStatus& status, int64_t now_unix_ms, int width);

// Those who compile for the farm, with what is queued; "" if there is none.
std::string BuildersReport(const pb::ListBuildersReply& builders, const pb::CompilerVersion& mine,
                           int width);

}  // namespace hone
