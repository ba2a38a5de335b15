#include "cli/farm_security.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unix_time.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace hone {
namespace {

constexpr int64_t kMinuteMs = 60'000;

std::string Outcome(const pb::AuditEntry& entry) {
  if (entry.outcome() == 0) return "done";
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(entry.outcome()));
}

}  // namespace

std::string TokenReport(const std::string& identity, const std::string& tracker,
                        const pb::MakeTokenReply& reply, int64_t now_unix_ms) {
  const int64_t minutes = (reply.expires_unix_ms() - now_unix_ms + kMinuteMs / 2) / kMinuteMs;
  const bool is_machine =
      absl::StartsWith(identity, "agent/") || absl::StartsWith(identity, "builder/");
  return absl::StrCat(reply.token(), "\n\nFor ", identity, ", once, within ", minutes, " minutes. ",
                      is_machine ? "There:\n  hone-agent" : "They run:\n  hone", " join ", tracker,
                      " ", reply.token(), "\n");
}

std::string AuditReport(const std::vector<pb::AuditEntry>& entries, int width) {
  if (entries.empty()) return "the audit trail is empty.\n";
  Table table({{"#", Align::kRight},
               {"time"},
               {"who"},
               {"did"},
               {"calls", Align::kRight},
               {"outcome"},
               {"what"}});
  for (const pb::AuditEntry& entry : entries) {
    table.AddRow({absl::StrCat(entry.number()), FormatUnixMillis(entry.unix_ms()), entry.identity(),
                  entry.method(), absl::StrCat(entry.calls()), Outcome(entry), entry.what()});
  }
  return absl::StrCat(table.Render(width), "\nlast hash ", entries.back().hash(), "\n");
}

}  // namespace hone
