// The words that people and peers of a farm write: addresses, lists of trackers, selectors, names
// of members, join tokens, devices, shapes. Each reader takes any bytes and answers with a value or
// an error; what it takes has the same meaning when it is written again. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/cpus.h"
#include "base/event_log.h"
#include "base/numerics.h"
#include "base/selector.h"
#include "compiler/shape_options.h"
#include "device_agent/device_spec.h"
#include "device_agent/sandbox/level.h"
#include "device_agent/sandbox/probe.h"
#include "rpc/address.h"
#include "rpc/identity.h"
#include "rpc/join_token.h"
#include "rpc/tracker_list.h"
#include "tracker/matchmaking.h"

namespace hone {
namespace {

void ReadSelector(absl::string_view text) {
  const StatusOr<Selector> selector = Selector::Parse(text);
  if (!selector.ok()) return;
  pb::DeviceInfo info;
  info.set_name("pi-3");
  info.set_target(Target().ToString());
  info.add_labels("rack3");
  (*info.mutable_facts())["memory"] = "8589934592";
  const StatusOr<DeviceView> device = ViewOf(info);
  HONE_CHECK(device.ok()) << device.status();
  const Demand demand(*selector, Target());
  HONE_CHECK(CanRun(demand, *device) == WhyNot(demand, *device).empty()) << std::string(text);
}

void ReadIdentity(absl::string_view text) {
  const StatusOr<Identity> identity = ParseIdentity(text);
  if (!identity.ok()) return;
  HONE_CHECK(identity->ToString() == text);
  const StatusOr<Identity> of_uri = IdentityOfUris({"hone:" + std::string(text)});
  HONE_CHECK(of_uri.ok() && of_uri->ToString() == text);
  HONE_CHECK(CheckSpeaksFor(*identity, identity->name).ok());
  HONE_CHECK(!CheckSpeaksFor(*identity, identity->name + "x").ok());
  HONE_CHECK(CheckOwnsDevice(*identity, identity->name).ok());
  HONE_CHECK(!CheckOwnsDevice(*identity, identity->name + "x").ok());
}

void ReadJoinToken(absl::string_view text) {
  const StatusOr<JoinTokenText> token = ParseJoinToken(text);
  if (!token.ok()) return;
  HONE_CHECK(token->secret.size() == 32 && token->fingerprint.size() == 64);
  HONE_CHECK(ParseJoinToken(token->ToString())->ToString() == token->ToString());
}

void ReadAddress(absl::string_view text) {
  const StatusOr<std::string> plain = CheckAddress(text, /*has_tls=*/false);
  const StatusOr<std::string> encrypted = CheckAddress(text, /*has_tls=*/true);
  HONE_CHECK(!plain.ok() || IsOnThisMachine(text)) << std::string(text);
  HONE_CHECK(!plain.ok() || encrypted.ok()) << std::string(text);
}

void FollowTrackers(absl::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(text, ',');
  TrackerList trackers({words.front(), "other:1"});
  for (const std::string& word : words) {
    const Status status = NotTheLeader(word);
    HONE_CHECK(LeaderOf(status) == word) << word;
    trackers.Failed(status);
    (void)LeaderOf(absl::FailedPreconditionError(word));
    trackers.Failed(absl::UnavailableError(word));
    HONE_CHECK(!trackers.current().empty() || words.front().empty());
  }
}

void ReadDevices(absl::string_view text) {
  std::vector<DeviceSpec> devices;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (StatusOr<DeviceSpec> device = ParseDeviceSpec(word); device.ok()) {
      devices.push_back(*std::move(device));
    }
  }
  (void)CheckDeviceSpecs(devices, {0, 1, 2, 3});
}

void LogLine(absl::string_view text) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line =
        EventLine(format, 0, Event::kLinkDown, {{{"tracker", text}, {"why", text}}});
    HONE_CHECK(line.find('\n') == std::string::npos) << "one event, two lines";
  }
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 12) {
    case 0:
      hone::ReadSelector(text);
      break;
    case 1:
      hone::ReadIdentity(text);
      break;
    case 2:
      hone::ReadJoinToken(text);
      break;
    case 3:
      hone::ReadAddress(text);
      break;
    case 4:
      hone::FollowTrackers(text);
      break;
    case 5:
      hone::ReadDevices(text);
      break;
    case 6:
      (void)hone::ParseShapeOptions({absl::StrSplit(text, ' ')});
      break;
    case 7:
      (void)hone::ParseSandboxReport(text);
      break;
    case 8:
      (void)hone::ParseCpuList(text);
      break;
    case 9:
      (void)hone::ParseSandboxLevel(text);
      (void)hone::ParseNumerics(text);
      (void)hone::ParseLogFormat(text);
      (void)hone::ParseRole(text);
      break;
    default:
      hone::LogLine(text);
      break;
  }
  return 0;
}
