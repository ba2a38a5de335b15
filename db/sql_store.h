// SqlStore: a FarmDatabase in SQL tables, on one connection that one mutex guards. Its children
// SqliteRecordStore and PostgresRecordStore open the connection; what is asked of the tables is in
// sql_records, sql_journal, sql_jobs, sql_builds, sql_security and sql_imports, the same for both.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "db/farm_database.h"
#include "db/import_store.h"
#include "db/sql_connection.h"

namespace hone {

class SqlStore : public FarmDatabase, public ImportStore {
 public:
  Status Append(absl::Span<const pb::Record> records) override;
  StatusOr<std::optional<pb::Record>> Best(
      const RecordKey& key,
      const std::optional<std::string>& layouts = std::nullopt) const override;
  StatusOr<std::vector<pb::Record>> BestPerLayouts(const RecordKey& key) const override;
  StatusOr<std::vector<pb::Record>> History(const RecordKey& key) const override;
  StatusOr<std::vector<pb::Record>> AllForTarget(absl::string_view target,
                                                 int64_t limit) const override;
  StatusOr<std::vector<pb::Record>> Query(const RecordFilter& filter) const override;
  StatusOr<std::vector<RecordSummary>> Summarize() const override;

  Status Probe() override;
  StatusOr<std::map<std::string, uint64_t>> LoadEpochs() const override;
  StatusOr<std::vector<JournaledBatch>> LoadBatches() const override;
  StatusOr<pb::FarmPolicy> LoadPolicy() const override;
  Status SavePolicy(const pb::FarmPolicy& policy) override;
  std::vector<JournalOutcome> Write(absl::Span<const JournalEntry> entries) override;
  StatusOr<std::optional<pb::BatchResult>> FindBatchResult(
      absl::string_view batch_id) const override;

  Status AddJoinToken(const pb::JoinToken& token) override;
  StatusOr<pb::JoinToken> TakeJoinToken(absl::string_view digest, int64_t unix_ms) override;
  StatusOr<int64_t> CountJoinTokens(int64_t unix_ms) const override;
  Status AppendAudit(absl::Span<const pb::AuditEntry> entries) override;
  StatusOr<std::vector<pb::AuditEntry>> ReadAudit(int64_t after, int64_t limit) const override;
  StatusOr<std::optional<pb::AuditEntry>> LastAudit() const override;

  StatusOr<std::vector<pb::Job>> LoadJobs() const override;
  Status SaveJob(const pb::Job& job) override;
  Status AppendModel(absl::string_view digest, int64_t offset, absl::string_view data) override;
  StatusOr<int64_t> ModelBytes(absl::string_view digest) const override;
  StatusOr<std::string> ReadModel(absl::string_view digest, int64_t offset) const override;
  Status DropModel(absl::string_view digest) override;

  StatusOr<std::vector<pb::BuiltReply>> LoadBuilds() const override;
  Status SaveBuilds(absl::Span<const pb::BuiltReply> builds) override;

  Status AddImported(absl::Span<const ImportedCost> costs, const ImportProgress& progress) override;
  StatusOr<std::optional<ImportProgress>> FindImport(absl::string_view source) const override;
  StatusOr<std::vector<ImportedCost>> SummarizeImported() const override;
  StatusOr<std::optional<TakenPackage>> FindPackage(absl::string_view public_key,
                                                    absl::string_view name) const override;
  Status SavePackage(absl::string_view public_key, absl::string_view name,
                     const TakenPackage& package) override;

 protected:
  // `writable`: else whatever writes is refused.
  SqlStore(std::unique_ptr<SqlConnection> connection, bool writable);

 private:
  // What `ask` answers on the connection.
  template <typename Ask>
  auto Read(const Ask& ask) const ABSL_LOCKS_EXCLUDED(mutex_);
  // As SqlConnection::Write.
  template <typename Act>
  Status Change(const Act& change) ABSL_LOCKS_EXCLUDED(mutex_);
  Status CheckWritable() const;

  const bool writable_;
  mutable absl::Mutex mutex_;
  const std::unique_ptr<SqlConnection> connection_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace hone
