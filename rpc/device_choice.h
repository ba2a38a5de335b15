// Which of a farm's devices a selector means. Used by tuners, which need one to tune for, and by
// the tracker, which refuses what none could ever do.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "proto/device.pb.h"

namespace hone {

// The first device that the selector matches and that takes work. NotFound, with what each lacks,
// when none matches; Unavailable when those that do take no work now, or there are no devices at
// all; InvalidArgument for a text that is no selector.
StatusOr<pb::DeviceInfo> ChooseDevice(absl::Span<const pb::DeviceInfo> devices,
                                      const std::string& selector);

}  // namespace hone
