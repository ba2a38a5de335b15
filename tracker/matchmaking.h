// Which batch may run on which device. A pure rule over Target and names; used by the queue, and by
// whoever must explain why a batch waits. Never looks at load or leases.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/target.h"

namespace hone {

// What a batch asks of a device.
struct Demand {
  std::string device;  // the name of a device, or "" for any
  Target target;
};

// A batch that names its device needs a machine that can execute its code: architecture, features
// and cores. One that leaves the choice to us needs the same kind of machine, caches included,
// because its times become records of that target.
bool CanRun(const Demand& demand, absl::string_view device_name, const Target& device_target);

}  // namespace hone
