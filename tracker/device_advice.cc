#include "tracker/device_advice.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

namespace hone {
namespace {

struct Advice {
  pb::DeviceState state;
  const char* reason;     // contains this; "" matches every reason. The first row that fits counts
  const char* next_step;  // $0: the device's name
};

// Reasons come from the tracker (policy and leases) and from agents (gates, canaries, faults).
constexpr Advice kAdvice[] = {
    {pb::LOST, "", "on its host: is it up, and hone-agent running? `hone doctor agent` there"},
    {pb::DRAINING, "drained", "`hone farm undrain $0` when it may work again"},
    {pb::DRAINING, "stop", "its agent ends once its batch is done; start hone-agent again after"},
    {pb::DRAINING, "", "finishes what it has; `hone farm show` says who drains it"},
    {pb::QUARANTINED, "temperature", "let it cool, see to its fan; it comes back by itself"},
    {pb::QUARANTINED, "thrott", "see to its cooling and power supply; it comes back by itself"},
    {pb::QUARANTINED, "governor", "on its host: cpupower frequency-set -g performance"},
    {pb::QUARANTINED, "load", "end what else computes there; it comes back by itself"},
    {pb::QUARANTINED, "busy", "end what else computes there; it comes back by itself"},
    {pb::QUARANTINED, "canar",
     "its speed moved: look for other load, heat or a changed clock; it "
     "comes back once canaries agree again"},
    {pb::QUARANTINED, "drift",
     "its speed moved: look for other load, heat or a changed clock; it "
     "comes back once canaries agree again"},
    {pb::QUARANTINED, "sandbox", "`hone doctor agent` on its host says which wall is missing"},
    {pb::QUARANTINED, "",
     "`hone doctor agent` on its host; it comes back once its own test passes"},
    {pb::READY, "reserved", "`hone farm release $0` ends the reservation"},
    {pb::BUSY, "reserved", "`hone farm release $0` ends the reservation"},
    {pb::DEVICE_STATE_UNSPECIFIED, "", "its agent is of another version: install the tracker's"},
};

}  // namespace

std::string StateWord(pb::DeviceState state) {
  if (state == pb::DEVICE_STATE_UNSPECIFIED || !pb::DeviceState_IsValid(state)) return "unknown";
  return absl::AsciiStrToLower(pb::DeviceState_Name(state));
}

std::string NextStep(const pb::DeviceInfo& device) {
  for (const Advice& advice : kAdvice) {
    if (advice.state == device.state() && absl::StrContains(device.reason(), advice.reason)) {
      return absl::Substitute(advice.next_step, device.name());
    }
  }
  return "";
}

}  // namespace hone
