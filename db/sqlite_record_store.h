// SqliteRecordStore: the database of records as one SQLite file, in WAL mode with full syncs. One
// process writes (the tracker), any number read beside it. It says what is wrong with a file it
// cannot use, and never overwrites or repairs one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "db/farm_database.h"

namespace hone {

struct SqliteOpenOptions {
  enum class Mode {
    kRead,   // the file must exist
    kWrite,  // made if missing, migrated if older; one writer a file, held by a lock beside it
  };
  std::string path;
  Mode mode = Mode::kRead;
  // For whom a writer holds the file, told to whoever is refused: "hone tune model.onnx (process
  // 123)". When empty: this process and its command line.
  std::string holder;
  // Largest size of the database; ResourceExhausted beyond. 0: as large as the disk.
  int64_t max_bytes = 0;
};

class SqliteRecordStore : public FarmDatabase {
 public:
  // NotFound: no such file (reading), or no such directory. FailedPrecondition: the lock is held
  // (names the holder), a newer version of hone wrote the file, or it lies on a network file
  // system. PermissionDenied: not readable, or not writable. DataLoss: not a database, or a damaged
  // one.
  static StatusOr<std::unique_ptr<SqliteRecordStore>> Open(const SqliteOpenOptions& options);
  ~SqliteRecordStore() override;

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

 private:
  class Impl;
  explicit SqliteRecordStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
