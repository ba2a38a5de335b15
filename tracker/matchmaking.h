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

// What is to be done: candidates give times that become records of a target, a model only has to
// run, and its times are its user's.
enum class WorkKind { kCandidates, kModel };

// What a batch asks of a device.
struct Demand {
  // `without`: names of devices that it must not go to, because they were not quiet.
  Demand(Selector selector, Target target, WorkKind kind = WorkKind::kCandidates,
         std::set<std::string> without = {});

  const Selector selector;
  const Target target;
  const WorkKind kind;
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

// A batch whose selector names the device, and a model wherever it runs, needs a machine that can
// execute its code: architecture, features and cores. Any other needs the same kind of machine too,
// caches included, because its times become records of that target. A model also needs an agent
// that can run one.
bool CanRun(const Demand& demand, const DeviceView& device);

// What keeps the batch from the device, in a few words: "board=rpi4", "feature sve"; "" if nothing
// does.
std::string WhyNot(const Demand& demand, const DeviceView& device);
// How far the device is from what the demand asks; 0: it does it all. For choosing of whom to
// speak.
int Distance(const Demand& demand, const DeviceView& device);

}  // namespace hone
