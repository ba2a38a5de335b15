#include "rpc/device_choice.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/selector.h"
#include "base/target.h"
#include "rpc/device_facts.h"

namespace hone {

StatusOr<pb::DeviceInfo> ChooseDevice(absl::Span<const pb::DeviceInfo> devices,
                                      const std::string& selector) {
  HONE_ASSIGN_OR_RETURN(const Selector parsed, Selector::Parse(selector));
  std::vector<std::string> unmet, down;
  for (const pb::DeviceInfo& device : devices) {
    const StatusOr<Target> target = Target::Parse(device.target());
    if (!target.ok()) continue;
    const std::vector<std::string> missing = parsed.Unmet(FactsOf(device, *target));
    if (!missing.empty()) {
      unmet.push_back(absl::StrCat(device.name(), " is not ", absl::StrJoin(missing, ", ")));
    } else if (device.state() == pb::READY || device.state() == pb::BUSY) {
      return device;
    } else {
      down.push_back(absl::StrCat(device.name(), " is ", pb::DeviceState_Name(device.state())));
    }
  }
  if (devices.empty()) {
    return absl::UnavailableError(
        "the tracker knows no device; start hone-agent on the machine that shall measure");
  }
  if (!down.empty()) {
    return absl::UnavailableError(
        absl::StrCat("no device is ready: ", absl::StrJoin(down, ", "), " (see hone devices)"));
  }
  return absl::NotFoundError(absl::StrCat(
      "no device matches '", selector, "': ", absl::StrJoin(unmet, "; "), " (see hone devices)"));
}

}  // namespace hone
