// Which devices an agent has, as its owner writes them: "--device left=cpu:0-3". Read by
// hone-agent; looks at no machine.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

struct DeviceSpec {
  std::string name;       // unique in the farm
  std::vector<int> cpus;  // logical processors; none: all
};

// "NAME=cpu:LIST" or "NAME". InvalidArgument says what a device is written like.
StatusOr<DeviceSpec> ParseDeviceSpec(absl::string_view text);

// Whether the devices can be one agent's on a machine with these processors: InvalidArgument if two
// have one name or one processor, or one asks for a processor that there is not.
Status CheckDeviceSpecs(const std::vector<DeviceSpec>& devices, const std::vector<int>& allowed);

}  // namespace hone
