#include "db/postgres_leadership.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "db/postgres_schema.h"

namespace hone {
namespace {

// Any number: hone's own, of whoever leads.
constexpr int64_t kLeaderLock = 0x686f6e65'00000002;

PostgresSessionOptions SessionOptions(const PostgresLeadershipOptions& options) {
  return {.url = options.url,
          .patience = options.silence_max,
          .idle_max = options.silence_max,
          .ends_idle = true};
}

PostgresValue Number(uint64_t value) { return {.bytes = absl::StrCat(value), .is_number = true}; }

}  // namespace

PostgresLeadership::PostgresLeadership(const PostgresLeadershipOptions& options)
    : options_(options), session_options_(SessionOptions(options)) {}

PostgresLeadership::~PostgresLeadership() { Resign(); }

void PostgresLeadership::Resign() {
  if (StillLeads()) {
    session_->Execute("UPDATE farm_leader SET address = '' WHERE term = $1", {Number(term_)})
        .status()
        .IgnoreError();
    // The server would do it, a moment after we hang up.
    session_->Execute("SELECT pg_advisory_unlock($1)", {Number(kLeaderLock)})
        .status()
        .IgnoreError();
  }
  Lose();
}

StatusOr<std::unique_ptr<PostgresLeadership>> PostgresLeadership::Open(
    const PostgresLeadershipOptions& options) {
  std::unique_ptr<PostgresLeadership> leadership(new PostgresLeadership(options));
  HONE_RETURN_IF_ERROR(leadership->Connect());
  return leadership;
}

Status PostgresLeadership::Poll() {
  HONE_RETURN_IF_ERROR(Connect());
  const Status status = term_ != 0 ? CheckTerm() : TryToLead();
  if (!status.ok()) Lose();
  return status;
}

bool PostgresLeadership::StillLeads() {
  if (term_ != 0 && !session_->StillConnected()) Lose();
  return term_ != 0;
}

Status PostgresLeadership::Connect() {
  if (session_ != nullptr && session_->StillConnected()) return absl::OkStatus();
  Lose();
  HONE_ASSIGN_OR_RETURN(session_, PostgresSession::Connect(session_options_));
  return absl::OkStatus();
}

Status PostgresLeadership::CheckTerm() {
  HONE_ASSIGN_OR_RETURN(const PostgresRows rows,
                        session_->Execute("SELECT term FROM farm_leader", {}));
  if (rows.count() == 1 && static_cast<uint64_t>(rows.Integer(0, 0)) == term_) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("another tracker leads by now");
}

Status PostgresLeadership::TryToLead() {
  HONE_ASSIGN_OR_RETURN(
      const PostgresRows lock,
      session_->Execute("SELECT pg_try_advisory_lock($1)", {Number(kLeaderLock)}));
  return lock.Integer(0, 0) != 0 ? BeginTerm() : AskWhoLeads();
}

// From here on nobody writes under an earlier term.
Status PostgresLeadership::BeginTerm() {
  HONE_RETURN_IF_ERROR(MigratePostgres(*session_, ShownPostgresUrl(options_.url)));
  HONE_ASSIGN_OR_RETURN(
      const PostgresRows rows,
      session_->Execute("UPDATE farm_leader SET term = term + 1, address = $1 RETURNING term",
                        {{.bytes = options_.address}}));
  if (rows.count() != 1) return absl::DataLossError("the table farm_leader has lost its row");
  term_ = static_cast<uint64_t>(rows.Integer(0, 0));
  leader_.clear();
  return absl::OkStatus();
}

Status PostgresLeadership::AskWhoLeads() {
  HONE_ASSIGN_OR_RETURN(const PostgresRows table,
                        session_->Execute("SELECT to_regclass('farm_leader') IS NOT NULL", {}));
  leader_.clear();
  if (table.Integer(0, 0) == 0) return absl::OkStatus();  // the leader makes it right now
  HONE_ASSIGN_OR_RETURN(const PostgresRows rows,
                        session_->Execute("SELECT address FROM farm_leader", {}));
  if (rows.count() == 1) leader_ = rows.Bytes(0, 0);
  // Ours, from an earlier term: whoever leads now has not said so yet.
  if (leader_ == options_.address) leader_.clear();
  return absl::OkStatus();
}

void PostgresLeadership::Lose() {
  session_.reset();
  term_ = 0;
}

}  // namespace hone
