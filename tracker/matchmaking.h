// Which batch may run on which device. A pure rule over Target, Selector and what devices say of
// themselves; used by the queue, and by whoever must explain why a batch waits. Never looks at load
// or leases.
#pragma once

#include <set>
#include <string>

#include "base/selector.h"
#include "base/target.h"
#include "proto/device.pb.h"

namespace hone {

// What a batch asks of a device.
struct Demand {
  // `without`: names of devices that it must not go to, because they were not quiet.
  Demand(Selector selector, Target target, std::set<std::string> without = {});

  const Selector selector;
  const Target target;
  const std::set<std::string> without;
  const std::string text;  // equal demands have equal ones
};

// A device as the rule sees it.
struct DeviceView {
  std::string name;
  Target target;
  DeviceFacts facts;
};

// InvalidArgument if the device's target cannot be read.
StatusOr<DeviceView> ViewOf(const pb::DeviceInfo& info);

// A batch whose selector names the device needs a machine that can execute its code: architecture,
// features and cores. Any other needs the same kind of machine too, caches included, because its
// times become records of that target.
bool CanRun(const Demand& demand, const DeviceView& device);

// What keeps the batch from the device, in a few words: "board=rpi4", "feature sve"; "" if nothing
// does.
std::string WhyNot(const Demand& demand, const DeviceView& device);

}  // namespace hone
