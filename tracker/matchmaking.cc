#include "tracker/matchmaking.h"

#include <algorithm>

namespace hone {
namespace {

bool CanExecute(const Target& wanted, const Target& device) {
  return wanted.arch == device.arch && wanted.threads <= device.cores &&
         std::all_of(wanted.features.begin(), wanted.features.end(),
                     [&](const std::string& feature) { return device.HasFeature(feature); });
}

bool IsSameKind(const Target& wanted, const Target& device) {
  return wanted.cpu == device.cpu && wanted.l1_bytes == device.l1_bytes &&
         wanted.l2_bytes == device.l2_bytes && wanted.l3_bytes == device.l3_bytes &&
         wanted.cores == device.cores;
}

}  // namespace

bool CanRun(const Demand& demand, absl::string_view device_name, const Target& device_target) {
  if (!CanExecute(demand.target, device_target)) return false;
  return demand.device.empty() ? IsSameKind(demand.target, device_target)
                               : demand.device == device_name;
}

}  // namespace hone
