#include "device_agent/device_spec.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/cpus.h"
#include "base/selector.h"

namespace hone {

StatusOr<DeviceSpec> ParseDeviceSpec(absl::string_view text) {
  DeviceSpec device;
  const size_t equals = text.find('=');
  device.name = std::string(text.substr(0, equals));
  if (!Selector::IsWord(device.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no device; write NAME=cpu:0-3, the name of letters, digits ",
                     "and _ - . / :"));
  }
  if (equals == absl::string_view::npos) return device;
  absl::string_view hardware = text.substr(equals + 1);
  if (!absl::ConsumePrefix(&hardware, "cpu:")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", hardware, "' is no hardware of a device; write cpu: and processors, as in cpu:0-3"));
  }
  HONE_ASSIGN_OR_RETURN(device.cpus, ParseCpuList(hardware));
  return device;
}

Status CheckDeviceSpecs(const std::vector<DeviceSpec>& devices, const std::vector<int>& allowed) {
  std::set<std::string> names;
  std::map<int, std::string> owners;
  for (const DeviceSpec& device : devices) {
    if (!names.insert(device.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two devices are named ", device.name, "; give one another name"));
    }
    if (device.cpus.empty() && devices.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("device ", device.name, " would have all processors; write which, as in ",
                       device.name, "=cpu:0-3"));
    }
    for (int cpu : device.cpus) {
      if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("device ", device.name, " asks for processor ", cpu,
                         ", but this process may use ", CpuListText(allowed), " only"));
      }
      const auto [owner, added] = owners.emplace(cpu, device.name);
      if (added) continue;
      return absl::InvalidArgumentError(absl::StrCat("devices ", owner->second, " and ",
                                                     device.name, " both have processor ", cpu));
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
