// What a device says of itself, in the words that selectors ask for. Used by the tracker, which
// matches work to devices, and by the command line, which shows who matches.
#pragma once

#include "base/selector.h"
#include "base/target.h"
#include "proto/device.pb.h"

namespace hone {

// Values: those it states, and name, arch, cpu, cores and l1, l2, l3 in bytes, of its target.
// Words: its name, its labels and the target's features. `target` is that of `info`.
DeviceFacts FactsOf(const pb::DeviceInfo& info, const Target& target);

}  // namespace hone
