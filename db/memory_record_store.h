// MemoryRecordStore: a FarmDatabase that forgets everything with the process. For
// tests, simulations and tuning without a database. The plainest reading of the interfaces: the
// conformance suite holds the other stores to the same answers.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "db/farm_database.h"

namespace hone {

class MemoryRecordStore : public FarmDatabase {
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

  Status Probe() override { return absl::OkStatus(); }
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

 private:
  Status AppendLocked(absl::Span<const pb::Record> records) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const EpochEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const BatchEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const GrantEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const OutcomeEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const ForgetEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JournalOutcome Do(const TaintEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // AlreadyExists, with how it ended, if the batch is finished.
  JournalOutcome CheckUnfinished(const std::string& batch_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::vector<pb::Record> records_ ABSL_GUARDED_BY(mutex_);  // by id
  // In a batch: its id, and the candidate's place.
  std::set<std::pair<std::string, int>> places_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> epochs_ ABSL_GUARDED_BY(mutex_);
  pb::FarmPolicy policy_ ABSL_GUARDED_BY(mutex_);
  // By digest, with whether it was used.
  std::map<std::string, std::pair<pb::JoinToken, bool>> tokens_ ABSL_GUARDED_BY(mutex_);
  std::vector<pb::AuditEntry> audit_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, pb::BatchResult> results_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, JournaledBatch> batches_ ABSL_GUARDED_BY(mutex_);  // in their order
  std::map<std::string, uint64_t> order_of_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_order_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<int64_t, pb::Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string, std::less<>> models_ ABSL_GUARDED_BY(mutex_);
  std::vector<pb::BuiltReply> builds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
