#include "db/sql_store.h"

#include <utility>

#include "db/sql_builds.h"
#include "db/sql_imports.h"
#include "db/sql_jobs.h"
#include "db/sql_journal.h"
#include "db/sql_records.h"
#include "db/sql_security.h"

namespace hone {

SqlStore::SqlStore(std::unique_ptr<SqlConnection> connection, bool writable)
    : writable_(writable), connection_(std::move(connection)) {}

template <typename Ask>
auto SqlStore::Read(const Ask& ask) const {
  absl::MutexLock lock(&mutex_);
  SqlConnection& connection = *connection_;
  decltype(ask(connection)) answer = absl::InternalError("the database was not asked");
  const Status status = connection.Read([&] {
    answer = ask(connection);
    return answer.status();
  });
  if (!status.ok()) answer = status;
  return answer;
}

template <typename Act>
Status SqlStore::Change(const Act& change) {
  absl::MutexLock lock(&mutex_);
  SqlConnection& connection = *connection_;
  HONE_RETURN_IF_ERROR(CheckWritable());
  return connection.Write([&] { return change(connection); });
}

Status SqlStore::CheckWritable() const {
  if (writable_) return absl::OkStatus();
  return absl::FailedPreconditionError("the database was opened for reading only");
}

// --- Records

Status SqlStore::Append(absl::Span<const pb::Record> records) {
  return Change([&](SqlConnection& c) { return sql_records::Append(c, records); });
}

StatusOr<std::optional<pb::Record>> SqlStore::Best(
    const RecordKey& key, const std::optional<std::string>& layouts) const {
  return Read([&](SqlConnection& c) { return sql_records::Best(c, key, layouts); });
}

StatusOr<std::vector<pb::Record>> SqlStore::BestPerLayouts(const RecordKey& key) const {
  return Read([&](SqlConnection& c) { return sql_records::BestPerLayouts(c, key); });
}

StatusOr<std::vector<pb::Record>> SqlStore::History(const RecordKey& key) const {
  return Read([&](SqlConnection& c) { return sql_records::History(c, key); });
}

StatusOr<std::vector<pb::Record>> SqlStore::AllForTarget(absl::string_view target,
                                                         int64_t limit) const {
  return Query({.target = std::string(target),
                .failure = pb::OK,
                .tainted = false,
                .newest_first = true,
                .limit = limit});
}

StatusOr<std::vector<pb::Record>> SqlStore::Query(const RecordFilter& filter) const {
  return Read([&](SqlConnection& c) { return sql_records::Query(c, filter); });
}

StatusOr<std::vector<RecordSummary>> SqlStore::Summarize() const {
  return Read([](SqlConnection& c) { return sql_records::Summarize(c); });
}

// --- The journal

Status SqlStore::Probe() {
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckWritable());
  return connection_->Probe();
}

std::vector<JournalOutcome> SqlStore::Write(absl::Span<const JournalEntry> entries) {
  std::vector<JournalOutcome> outcomes;
  const Status status = Change([&](SqlConnection& c) -> Status {
    HONE_ASSIGN_OR_RETURN(outcomes, sql_journal::Write(c, entries));
    return absl::OkStatus();
  });
  if (!status.ok()) outcomes.assign(entries.size(), {status});
  return outcomes;
}

StatusOr<std::map<std::string, uint64_t>> SqlStore::LoadEpochs() const {
  return Read([](SqlConnection& c) { return sql_journal::LoadEpochs(c); });
}

StatusOr<std::vector<JournaledBatch>> SqlStore::LoadBatches() const {
  return Read([](SqlConnection& c) { return sql_journal::LoadBatches(c); });
}

StatusOr<std::optional<pb::BatchResult>> SqlStore::FindBatchResult(
    absl::string_view batch_id) const {
  return Read([&](SqlConnection& c) { return sql_journal::FindBatchResult(c, batch_id); });
}

StatusOr<pb::FarmPolicy> SqlStore::LoadPolicy() const {
  return Read([](SqlConnection& c) { return sql_journal::LoadPolicy(c); });
}

Status SqlStore::SavePolicy(const pb::FarmPolicy& policy) {
  return Change([&](SqlConnection& c) { return sql_journal::SavePolicy(c, policy); });
}

// --- Security

Status SqlStore::AddJoinToken(const pb::JoinToken& token) {
  return Change([&](SqlConnection& c) { return sql_security::AddJoinToken(c, token); });
}

StatusOr<pb::JoinToken> SqlStore::TakeJoinToken(absl::string_view digest, int64_t unix_ms) {
  pb::JoinToken token;
  HONE_RETURN_IF_ERROR(Change([&](SqlConnection& c) -> Status {
    HONE_ASSIGN_OR_RETURN(token, sql_security::TakeJoinToken(c, digest, unix_ms));
    return absl::OkStatus();
  }));
  return token;
}

StatusOr<int64_t> SqlStore::CountJoinTokens(int64_t unix_ms) const {
  return Read([&](SqlConnection& c) { return sql_security::CountJoinTokens(c, unix_ms); });
}

Status SqlStore::AppendAudit(absl::Span<const pb::AuditEntry> entries) {
  return Change([&](SqlConnection& c) { return sql_security::AppendAudit(c, entries); });
}

StatusOr<std::vector<pb::AuditEntry>> SqlStore::ReadAudit(int64_t after, int64_t limit) const {
  return Read([&](SqlConnection& c) { return sql_security::ReadAudit(c, after, limit); });
}

StatusOr<std::optional<pb::AuditEntry>> SqlStore::LastAudit() const {
  return Read([](SqlConnection& c) { return sql_security::LastAudit(c); });
}

// --- Jobs

StatusOr<std::vector<pb::Job>> SqlStore::LoadJobs() const {
  return Read([](SqlConnection& c) { return sql_jobs::LoadJobs(c); });
}

Status SqlStore::SaveJob(const pb::Job& job) {
  return Change([&](SqlConnection& c) { return sql_jobs::SaveJob(c, job); });
}

Status SqlStore::AppendModel(absl::string_view digest, int64_t offset, absl::string_view data) {
  return Change([&](SqlConnection& c) { return sql_jobs::AppendModel(c, digest, offset, data); });
}

StatusOr<int64_t> SqlStore::ModelBytes(absl::string_view digest) const {
  return Read([&](SqlConnection& c) { return sql_jobs::ModelBytes(c, digest); });
}

StatusOr<std::string> SqlStore::ReadModel(absl::string_view digest, int64_t offset) const {
  return Read([&](SqlConnection& c) { return sql_jobs::ReadModel(c, digest, offset); });
}

Status SqlStore::DropModel(absl::string_view digest) {
  return Change([&](SqlConnection& c) { return sql_jobs::DropModel(c, digest); });
}

// --- Builds

StatusOr<std::vector<pb::BuiltReply>> SqlStore::LoadBuilds() const {
  return Read([](SqlConnection& c) { return sql_builds::LoadBuilds(c); });
}

Status SqlStore::SaveBuilds(absl::Span<const pb::BuiltReply> builds) {
  return Change([&](SqlConnection& c) { return sql_builds::SaveBuilds(c, builds); });
}

// --- Imports

Status SqlStore::AddImported(absl::Span<const ImportedCost> costs, const ImportProgress& progress) {
  return Change([&](SqlConnection& c) { return sql_imports::AddImported(c, costs, progress); });
}

StatusOr<std::optional<ImportProgress>> SqlStore::FindImport(absl::string_view source) const {
  return Read([&](SqlConnection& c) { return sql_imports::FindImport(c, source); });
}

StatusOr<std::vector<ImportedCost>> SqlStore::SummarizeImported() const {
  return Read([](SqlConnection& c) { return sql_imports::SummarizeImported(c); });
}

StatusOr<std::optional<TakenPackage>> SqlStore::FindPackage(absl::string_view public_key,
                                                            absl::string_view name) const {
  return Read([&](SqlConnection& c) { return sql_imports::FindPackage(c, public_key, name); });
}

Status SqlStore::SavePackage(absl::string_view public_key, absl::string_view name,
                             const TakenPackage& package) {
  return Change(
      [&](SqlConnection& c) { return sql_imports::SavePackage(c, public_key, name, package); });
}

}  // namespace hone
