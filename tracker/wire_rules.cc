#include "tracker/wire_rules.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/selector.h"

namespace hone {
namespace {

constexpr size_t kNameMax = 256;
constexpr int kDevicesMax = 1024;       // of one agent
constexpr int kAtATimeMax = 1'000'000;  // builds or jobs
// Epochs count up from 0, one a lease; from here they never come to their end.
constexpr uint64_t kEpochMax = uint64_t{1} << 62;

Status CheckName(absl::string_view what, absl::string_view name) {
  if (Selector::IsWord(name) && name.size() <= kNameMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      what, " '", name.substr(0, kNameMax),
      "' has no usable name; give it one of letters, digits and _ - . / : with --name"));
}

Status CheckBoot(absl::string_view name, uint64_t boot) {
  if (boot > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name,
                   " does not say which start of it this is (boot is 0); use a hone of the "
                   "tracker's version"));
}

Status CheckEpoch(absl::string_view device, uint64_t epoch) {
  if (epoch < kEpochMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("device ", device, " claims epoch ", epoch, ", which no tracker gave it"));
}

Status CheckCount(absl::string_view name, int count) {
  if (count >= 0 && count <= kAtATimeMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " offers to do ", count, " at a time; say 0 to ", kAtATimeMax));
}

}  // namespace

Status CheckAgentState(const pb::AgentState& state) {
  HONE_RETURN_IF_ERROR(CheckName("the agent", state.agent()));
  HONE_RETURN_IF_ERROR(CheckBoot(state.agent(), state.boot()));
  // A state counts if its number is above the session's last one, which is 0 at first.
  if (state.sequence() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("agent ", state.agent(), " does not number its states from 1 on"));
  }
  if (state.devices_size() > kDevicesMax) {
    return absl::InvalidArgumentError(absl::StrCat("agent ", state.agent(), " has ",
                                                   state.devices_size(), " devices; ", kDevicesMax,
                                                   " are the most"));
  }
  std::set<std::string> names;
  for (const pb::DeviceStatus& device : state.devices()) {
    HONE_RETURN_IF_ERROR(CheckName("the device", device.info().name()));
    HONE_RETURN_IF_ERROR(CheckEpoch(device.info().name(), device.epoch()));
    if (!names.insert(device.info().name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("agent ", state.agent(), " has two devices named ", device.info().name(),
                       "; give one of them another name with --device NAME=..."));
    }
  }
  return absl::OkStatus();
}

Status CheckReport(const pb::ReportRequest& report) {
  HONE_RETURN_IF_ERROR(CheckName("the agent", report.agent()));
  HONE_RETURN_IF_ERROR(CheckName("the device", report.device()));
  if (report.batch_id().empty() || report.attempt_id().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a report of device ", report.device(), " names no batch or no attempt"));
  }
  return CheckEpoch(report.device(), report.epoch());
}

Status CheckProvenance(const pb::Batch& batch) {
  if (!batch.tool_version().empty() || batch.has_model()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a batch without tool_version cannot be taken in: its records would not say which tuner they "
      "come from");
}

Status CheckProvenance(const pb::BatchResult& result) {
  for (const char* fact : {"agent_version", "sandbox", "gate.retries"}) {
    if (result.environment().contains(fact)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("a result without ", fact,
                     " cannot be kept: its records would not say how "
                     "they were measured; upgrade the device's agent"));
  }
  return absl::OkStatus();
}

Status CheckBuilderState(const pb::BuilderState& state) {
  HONE_RETURN_IF_ERROR(CheckName("the builder", state.builder()));
  HONE_RETURN_IF_ERROR(CheckBoot(state.builder(), state.boot()));
  return CheckCount(state.builder(), state.capacity());
}

Status CheckClaim(const pb::ClaimJobRequest& request) {
  HONE_RETURN_IF_ERROR(CheckName("the daemon", request.daemon()));
  HONE_RETURN_IF_ERROR(CheckBoot(request.daemon(), request.boot()));
  return CheckCount(request.daemon(), request.jobs_max());
}

}  // namespace hone
