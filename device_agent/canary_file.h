// The history of a device's canaries on disk, so that a restart of the agent forgets neither what
// is normal for the device nor that it is quarantined. Used by the agent; judges nothing.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/canary.pb.h"

namespace hone {

// Where the history of a device lies in the agent's folder.
std::string CanaryPath(absl::string_view folder, absl::string_view device);
// An empty one if there is no file, or none that can be read: the device is learned anew.
pb::CanaryHistory LoadCanaryHistory(const std::string& path);
// Whole or not at all.
Status SaveCanaryHistory(const std::string& path, const pb::CanaryHistory& history);

}  // namespace hone
