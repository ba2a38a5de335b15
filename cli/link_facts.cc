#include "cli/link_facts.h"

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "rpc/credentials.h"
#include "rpc/farm_client.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(3);

Status AskFarm(const std::string& tracker, const std::string& tls_dir, pb::FarmSnapshot* farm) {
  HONE_ASSIGN_OR_RETURN(const auto client,
                        FarmClient::Connect({.tracker = tracker, .tls_dir = tls_dir}));
  pb::SnapshotRequest request;
  request.set_devices_max(1'000);
  HONE_ASSIGN_OR_RETURN(*farm, client->Snapshot(request));
  return absl::OkStatus();
}

}  // namespace

LinkFacts ReadLinkFacts(const std::string& tracker, const std::string& tls_dir,
                        const std::string& version) {
  LinkFacts facts;
  facts.tracker = tracker;
  facts.version = version;
  if (tracker.empty()) return facts;
  facts.offers_tls = !tls_dir.empty();
  if (facts.offers_tls) {
    facts.certificates = CheckTlsFolder(TlsFolder(tls_dir), SystemClock().UnixMillis()).status();
  }
  // Of several, one that is there will do.
  for (const absl::string_view one : absl::StrSplit(tracker, ',', absl::SkipEmpty())) {
    facts.knock = Knock(one, kPatience);
    if (facts.knock.reach == Reach::kReached) break;
  }
  if (facts.knock.reach != Reach::kReached || facts.knock.speaks == Speaks::kHttp1) return facts;
  facts.call = AskFarm(tracker, tls_dir, &facts.farm);
  if (facts.call.ok()) {
    facts.clock_ahead_ms = facts.farm.unix_ms() - SystemClock().UnixMillis();
  }
  return facts;
}

}  // namespace hone
