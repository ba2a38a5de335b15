#include "cli/farm_policy.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/unix_time.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "rpc/identity.h"

namespace hone {
namespace {

constexpr double kMillisPerHour = 3'600'000;

std::string Limit(int64_t value) { return value == 0 ? "-" : absl::StrCat(value); }

Status Drain(const FarmDecision& decision, pb::FarmPolicy* policy) {
  if (decision.why.empty()) {
    return absl::InvalidArgumentError(
        "drain needs --why: those whose work waits for the device are told");
  }
  (*policy->mutable_drained())[decision.name] = decision.why;
  return absl::OkStatus();
}

Status Undrain(const FarmDecision& decision, pb::FarmPolicy* policy) {
  if (policy->mutable_drained()->erase(decision.name) == 1) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("device '", decision.name, "' is not drained"));
}

Status Reserve(const FarmDecision& decision, int64_t now_unix_ms, pb::FarmPolicy* policy) {
  if (decision.user.empty() || !(decision.hours > 0)) {
    return absl::InvalidArgumentError("reserve needs --user USER and --hours N, above 0");
  }
  pb::Reservation& reservation = *policy->add_reservations();
  reservation.set_device(decision.name);
  reservation.set_user(decision.user);
  reservation.set_from_unix_ms(now_unix_ms);
  reservation.set_until_unix_ms(now_unix_ms +
                                static_cast<int64_t>(decision.hours * kMillisPerHour));
  return absl::OkStatus();
}

Status Release(const FarmDecision& decision, pb::FarmPolicy* policy) {
  auto& all = *policy->mutable_reservations();
  const auto kept = std::remove_if(all.begin(), all.end(), [&](const pb::Reservation& one) {
    return one.device() == decision.name;
  });
  if (kept == all.end()) {
    return absl::NotFoundError(absl::StrCat("device '", decision.name, "' is not reserved"));
  }
  all.erase(kept, all.end());
  return absl::OkStatus();
}

Status SetLimit(const FarmDecision& decision, pb::FarmPolicy* policy) {
  if (decision.devices_max < 0 && decision.batches_max < 0 && decision.weight < 0) {
    return absl::InvalidArgumentError(
        "limit needs one of --devices N, --batches N, --weight W; 0 takes a limit away");
  }
  auto& users = *policy->mutable_users();
  auto user = std::find_if(users.begin(), users.end(),
                           [&](const pb::UserPolicy& one) { return one.user() == decision.name; });
  pb::UserPolicy& changed = user == users.end() ? *policy->add_users() : *user;
  changed.set_user(decision.name);
  if (decision.devices_max >= 0) changed.set_devices_max(static_cast<int>(decision.devices_max));
  if (decision.batches_max >= 0) changed.set_batches_max(decision.batches_max);
  if (decision.weight >= 0) changed.set_weight(decision.weight);
  return absl::OkStatus();
}

Status Unrevoke(const FarmDecision& decision, pb::FarmPolicy* policy) {
  auto& revoked = *policy->mutable_revoked();
  const auto found = std::remove_if(revoked.begin(), revoked.end(), [&](const pb::Revocation& one) {
    return one.identity() == decision.name;
  });
  if (found == revoked.end()) {
    return absl::NotFoundError(absl::StrCat(decision.name, " is not revoked"));
  }
  revoked.erase(found, revoked.end());
  return absl::OkStatus();
}

// Anew if it was revoked before: a certificate made since then is refused, too.
Status Revoke(const FarmDecision& decision, int64_t now_unix_ms, pb::FarmPolicy* policy) {
  HONE_RETURN_IF_ERROR(ParseIdentity(decision.name).status());
  Unrevoke(decision, policy).IgnoreError();
  pb::Revocation& revocation = *policy->add_revoked();
  revocation.set_identity(decision.name);
  revocation.set_unix_ms(now_unix_ms);
  revocation.set_why(decision.why);
  return absl::OkStatus();
}

absl::string_view NamedBy(absl::string_view action) {
  if (action == "limit") return "user";
  if (action == "revoke" || action == "unrevoke") return "member (ROLE/NAME)";
  return "device";
}

}  // namespace

Status Decide(const FarmDecision& decision, int64_t now_unix_ms, pb::FarmPolicy* policy) {
  // What is over is of no use to anybody.
  auto& reservations = *policy->mutable_reservations();
  reservations.erase(std::remove_if(reservations.begin(), reservations.end(),
                                    [&](const pb::Reservation& one) {
                                      return one.until_unix_ms() <= now_unix_ms;
                                    }),
                     reservations.end());
  static constexpr absl::string_view kActions[] = {"drain",  "undrain", "reserve", "release",
                                                   "accept", "limit",   "revoke",  "unrevoke"};
  if (std::find(std::begin(kActions), std::end(kActions), decision.action) == std::end(kActions)) {
    return absl::InvalidArgumentError(
        absl::StrCat("no action '", decision.action,
                     "'; there are drain, undrain, reserve, release, accept, limit, revoke, "
                     "unrevoke, token and audit"));
  }
  if (decision.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(decision.action, " needs the name of a ",
                                                   NamedBy(decision.action),
                                                   "; see `hone farm --help`"));
  }
  if (decision.action == "drain") return Drain(decision, policy);
  if (decision.action == "undrain") return Undrain(decision, policy);
  if (decision.action == "reserve") return Reserve(decision, now_unix_ms, policy);
  if (decision.action == "release") return Release(decision, policy);
  if (decision.action == "revoke") return Revoke(decision, now_unix_ms, policy);
  if (decision.action == "unrevoke") return Unrevoke(decision, policy);
  if (decision.action == "accept") {
    (*policy->mutable_accepted_unix_ms())[decision.name] = now_unix_ms;
    return absl::OkStatus();
  }
  return SetLimit(decision, policy);
}

std::string PolicyReport(const pb::FarmPolicy& policy, int64_t now_unix_ms, int width) {
  std::string report;
  if (policy.users_size() > 0) {
    Table table({{"user"},
                 {"weight", Align::kRight},
                 {"devices at most", Align::kRight},
                 {"batches at most", Align::kRight}});
    for (const pb::UserPolicy& user : policy.users()) {
      table.AddRow({user.user() == "*" ? "everyone else" : user.user(),
                    absl::StrFormat("%g", user.weight() > 0 ? user.weight() : 1),
                    Limit(user.devices_max()), Limit(user.batches_max())});
    }
    absl::StrAppend(&report, table.Render(width), "\n");
  }
  Table closed({{"device"}, {"closed"}, {"until"}});
  bool any = false;
  for (const pb::Reservation& one : policy.reservations()) {
    if (one.until_unix_ms() <= now_unix_ms) continue;
    any = true;
    closed.AddRow({one.device(), absl::StrCat("to all but ", one.user()),
                   FormatUnixMillis(one.until_unix_ms())});
  }
  for (const auto& [device, why] : policy.drained()) {
    any = true;
    closed.AddRow({device, absl::StrCat("drained: ", why), "it is undrained"});
  }
  if (any) absl::StrAppend(&report, closed.Render(width), "\n");
  if (policy.revoked_size() > 0) {
    Table revoked({{"revoked"}, {"when"}, {"why"}});
    for (const pb::Revocation& one : policy.revoked()) {
      revoked.AddRow({one.identity(), FormatUnixMillis(one.unix_ms()), one.why()});
    }
    absl::StrAppend(&report, revoked.Render(width), "\n");
  }
  if (report.empty()) report = "all devices are open to everyone, in equal shares.\n";
  return report + "Next: hone farm --help says how to change it\n";
}

}  // namespace hone
