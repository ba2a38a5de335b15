// What a person can do about a device that takes no work: a table from its state and the reason
// that stands behind it to the next step. Pure; shown by `hone devices`, the web page and the
// doctor.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "proto/device.pb.h"

namespace hone {

// "ready", "quarantined": how states are called outside of messages.
std::string StateWord(pb::DeviceState state);

// "" when nothing is to be done.
std::string NextStep(const pb::DeviceInfo& device);

}  // namespace hone
