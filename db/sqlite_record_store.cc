#include "db/sqlite_record_store.h"

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "db/record_rules.h"
#include "db/sqlite_connection.h"
#include "db/sqlite_file.h"
#include "db/sqlite_jobs.h"
#include "db/sqlite_security.h"

namespace hone {
namespace {

constexpr int64_t kBatchResultAgeMaxS = int64_t{7} * 24 * 3600;

// What ReadRecord reads, in its order.
constexpr absl::string_view kRecordColumns =
    "SELECT r.id, w.key, w.text, t.text, r.message FROM record r "
    "JOIN workload w ON w.id = r.workload_id JOIN target t ON t.id = r.target_id ";
constexpr absl::string_view kOfKey =
    "WHERE w.key = ?1 AND t.text = ?2 AND r.numerics = ?3 AND r.codegen_epoch = ?4 ";
constexpr absl::string_view kCounts = "AND r.failure = 0 AND r.tainted = 0 ";
constexpr absl::string_view kBestFirst = "ORDER BY r.bench DESC, r.finalist DESC, r.cost_ns, r.id ";

StatusOr<pb::Record> ReadRecord(const SqliteStatement& row) {
  pb::Record record;
  if (!record.ParseFromString(row.Blob(4))) {
    return absl::DataLossError(
        absl::StrCat("record ", row.Integer(0), " of the database cannot be read"));
  }
  record.set_id(row.Integer(0));
  record.set_workload_key(row.Text(1));
  record.set_workload(row.Text(2));
  record.set_target(row.Text(3));
  return record;
}

StatusOr<std::vector<pb::Record>> ReadRecords(SqliteStatement& statement) {
  std::vector<pb::Record> records;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) break;
    HONE_ASSIGN_OR_RETURN(pb::Record record, ReadRecord(statement));
    records.push_back(std::move(record));
  }
  statement.Reset();
  return records;
}

void BindKey(SqliteStatement& statement, const RecordKey& key) {
  statement.BindText(1, key.workload_key);
  statement.BindText(2, key.target);
  statement.BindText(3, key.numerics);
  statement.BindInteger(4, key.codegen_epoch);
}

// An entry that is refused leaves the others of its group as they are.
bool IsRefusal(const Status& status) {
  return absl::IsAlreadyExists(status) || absl::IsFailedPrecondition(status) ||
         absl::IsInvalidArgument(status);
}

// Builds "WHERE a = ? AND b = ?" and binds in the same order.
class Conditions {
 public:
  template <typename T>
  void Add(absl::string_view column, const std::optional<T>& value) {
    if (!value) return;
    texts_.push_back(absl::StrCat(column, " = ?", texts_.size() + 1));
    if constexpr (std::is_same_v<T, std::string>) {
      values_.push_back({.text = *value});
    } else {
      values_.push_back({.number = static_cast<int64_t>(*value)});
    }
  }
  std::string Sql() const {
    return texts_.empty() ? "" : absl::StrCat("WHERE ", absl::StrJoin(texts_, " AND "), " ");
  }
  void Bind(SqliteStatement& statement) const {
    for (size_t i = 0; i < values_.size(); ++i) {
      const int place = static_cast<int>(i) + 1;
      if (values_[i].text) {
        statement.BindText(place, *values_[i].text);
      } else {
        statement.BindInteger(place, values_[i].number);
      }
    }
  }

 private:
  struct Value {
    std::optional<std::string> text;
    int64_t number = 0;
  };
  std::vector<std::string> texts_;
  std::vector<Value> values_;
};

}  // namespace

class SqliteRecordStore::Impl {
 public:
  explicit Impl(SqliteFile file) : file_(std::move(file)) {}

  Status PrepareAll() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    // Readers look up the best record of every kernel of a model, in microseconds each: prepared.
    HONE_RETURN_IF_ERROR(
        Prepare(best_, absl::StrCat(kRecordColumns, kOfKey, kCounts, kBestFirst, "LIMIT 1")));
    HONE_RETURN_IF_ERROR(
        Prepare(best_of_layouts_, absl::StrCat(kRecordColumns, kOfKey, kCounts,
                                               "AND r.layouts = ?5 ", kBestFirst, "LIMIT 1")));
    HONE_RETURN_IF_ERROR(
        Prepare(find_result_, "SELECT message FROM batch_result WHERE batch_id = ?1"));
    if (file_.lock == nullptr) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(Prepare(
        insert_record_,
        "INSERT INTO record (workload_id, target_id, numerics, codegen_epoch, schedule, layouts, "
        "failure, finalist, cost_ns, device, unix_ms, batch_id, candidate, message, "
        "tainted, bench) "
        "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16) ON CONFLICT DO NOTHING"));
    HONE_RETURN_IF_ERROR(
        Prepare(insert_workload_,
                "INSERT INTO workload (key, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING"));
    HONE_RETURN_IF_ERROR(Prepare(find_workload_, "SELECT id FROM workload WHERE key = ?1"));
    HONE_RETURN_IF_ERROR(
        Prepare(insert_target_, "INSERT INTO target (text) VALUES (?1) ON CONFLICT DO NOTHING"));
    HONE_RETURN_IF_ERROR(Prepare(find_target_, "SELECT id FROM target WHERE text = ?1"));
    return PrepareJournal();
  }

  Status Append(absl::Span<const pb::Record> records) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_RETURN_IF_ERROR(CheckWritable());
    HONE_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*file_.connection));
    HONE_RETURN_IF_ERROR(InsertRecords(records));
    return transaction->Commit();
  }

  std::vector<JournalOutcome> Write(absl::Span<const JournalEntry> entries)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<JournalOutcome> outcomes;
    const Status status = WriteGroup(entries, outcomes);
    if (!status.ok()) outcomes.assign(entries.size(), {status});
    return outcomes;
  }

  // The schema's version, written again, is a page of the file.
  Status Probe() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_RETURN_IF_ERROR(CheckWritable());
    HONE_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*file_.connection));
    HONE_ASSIGN_OR_RETURN(const int64_t version,
                          file_.connection->QueryInteger("PRAGMA user_version"));
    HONE_RETURN_IF_ERROR(file_.connection->Run(absl::StrCat("PRAGMA user_version = ", version)));
    return transaction->Commit();
  }

  StatusOr<std::optional<pb::Record>> Best(const RecordKey& key,
                                           const std::optional<std::string>& layouts)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    SqliteStatement& statement = layouts ? best_of_layouts_ : best_;
    BindKey(statement, key);
    if (layouts) statement.BindText(5, *layouts);
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, ReadRecords(statement));
    if (records.empty()) return std::optional<pb::Record>();
    return std::optional<pb::Record>(std::move(records.front()));
  }

  StatusOr<std::vector<pb::Record>> OfKey(const RecordKey& key, absl::string_view rest)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(SqliteStatement statement,
                          file_.connection->Prepare(absl::StrCat(kRecordColumns, kOfKey, rest)));
    BindKey(statement, key);
    return ReadRecords(statement);
  }

  StatusOr<std::vector<pb::Record>> Query(const RecordFilter& filter) ABSL_LOCKS_EXCLUDED(mutex_) {
    Conditions conditions;
    conditions.Add("w.key", filter.workload_key);
    conditions.Add("t.text", filter.target);
    conditions.Add("r.numerics", filter.numerics);
    conditions.Add("r.codegen_epoch", filter.codegen_epoch);
    conditions.Add("r.failure", filter.failure);
    conditions.Add("r.device", filter.device);
    conditions.Add("r.tainted", filter.tainted);
    std::string sql = absl::StrCat(kRecordColumns, conditions.Sql(), "ORDER BY r.id",
                                   filter.newest_first ? " DESC" : "");
    if (filter.limit > 0) absl::StrAppend(&sql, " LIMIT ", filter.limit);
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(SqliteStatement statement, file_.connection->Prepare(sql));
    conditions.Bind(statement);
    return ReadRecords(statement);
  }

  StatusOr<std::vector<RecordSummary>> Summarize() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(
        SqliteStatement statement,
        file_.connection->Prepare(
            "SELECT w.key, w.text, t.text, r.numerics, r.codegen_epoch, count(*), "
            "sum(r.failure != 0), "
            "min(CASE WHEN r.failure = 0 AND r.tainted = 0 THEN r.cost_ns END), max(r.unix_ms) "
            "FROM record r JOIN workload w ON w.id = r.workload_id "
            "JOIN target t ON t.id = r.target_id "
            "GROUP BY r.workload_id, r.target_id, r.numerics, r.codegen_epoch ORDER BY min(r.id)"));
    std::vector<RecordSummary> result;
    while (true) {
      HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) break;
      RecordSummary& summary = result.emplace_back();
      summary.key = {.workload_key = statement.Text(0),
                     .target = statement.Text(2),
                     .numerics = statement.Text(3),
                     .codegen_epoch = static_cast<int>(statement.Integer(4))};
      summary.workload = statement.Text(1);
      summary.records = statement.Integer(5);
      summary.failures = statement.Integer(6);
      if (!statement.IsNull(7)) summary.best_cost_ns = statement.Real(7);
      summary.latest_unix_ms = statement.Integer(8);
    }
    return result;
  }

  StatusOr<std::map<std::string, uint64_t>> LoadEpochs() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(SqliteStatement statement,
                          file_.connection->Prepare("SELECT device, epoch FROM device_epoch"));
    std::map<std::string, uint64_t> epochs;
    while (true) {
      HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) break;
      epochs[statement.Text(0)] = static_cast<uint64_t>(statement.Integer(1));
    }
    return epochs;
  }

  StatusOr<std::vector<JournaledBatch>> LoadBatches() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(
        SqliteStatement statement,
        file_.connection->Prepare(
            "SELECT client_id, batch_id, device, epoch, message FROM farm_batch ORDER BY id"));
    std::vector<JournaledBatch> batches;
    while (true) {
      HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) break;
      pb::Batch batch;
      if (!batch.ParseFromString(statement.Blob(4))) {
        return absl::DataLossError(
            absl::StrCat("batch ", statement.Text(1), " in the database cannot be read"));
      }
      batches.push_back({.client_id = statement.Text(0),
                         .batch_id = statement.Text(1),
                         .batch = std::make_shared<const pb::Batch>(std::move(batch)),
                         .device = statement.Text(2),
                         .epoch = static_cast<uint64_t>(statement.Integer(3))});
    }
    return batches;
  }

  StatusOr<pb::FarmPolicy> LoadPolicy() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(SqliteStatement statement,
                          file_.connection->Prepare("SELECT message FROM farm_policy"));
    HONE_ASSIGN_OR_RETURN(const bool found, statement.Step());
    pb::FarmPolicy policy;
    if (found && !policy.ParseFromString(statement.Blob(0))) {
      return absl::DataLossError("the farm's policy cannot be read; set it anew");
    }
    return policy;
  }

  Status SavePolicy(const pb::FarmPolicy& policy) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_RETURN_IF_ERROR(CheckWritable());
    HONE_ASSIGN_OR_RETURN(
        SqliteStatement statement,
        file_.connection->Prepare("INSERT INTO farm_policy (id, message) VALUES (1, ?1) "
                                  "ON CONFLICT (id) DO UPDATE SET message = excluded.message"));
    statement.BindBlob(1, policy.SerializeAsString());
    return statement.Step().status();
  }

  StatusOr<std::optional<pb::BatchResult>> FindBatchResult(absl::string_view batch_id)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return FindResult(batch_id);
  }

  // For the tables that have functions of their own.
  template <typename Ask>
  auto Read(Ask ask) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return ask(*file_.connection);
  }
  Status RunWrite(const std::function<Status(SqliteConnection&)>& write)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_RETURN_IF_ERROR(CheckWritable());
    return write(*file_.connection);
  }

 private:
  Status CheckWritable() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    if (file_.lock != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError("the database was opened for reading only");
  }

  // Ids and messages of the records that are not marked yet.
  StatusOr<std::vector<std::pair<int64_t, std::string>>> MessagesToTaint(absl::string_view device,
                                                                         const pb::Taint& taint)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    HONE_ASSIGN_OR_RETURN(
        SqliteStatement select,
        file_.connection->Prepare("SELECT id, message FROM record WHERE device = ?1 "
                                  "AND unix_ms BETWEEN ?2 AND ?3 AND tainted = 0"));
    select.BindText(1, device);
    select.BindInteger(2, taint.since_unix_ms());
    select.BindInteger(3, taint.until_unix_ms());
    std::vector<std::pair<int64_t, std::string>> messages;
    while (true) {
      HONE_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return messages;
      messages.emplace_back(select.Integer(0), select.Blob(1));
    }
  }

  Status PrepareJournal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    HONE_RETURN_IF_ERROR(Prepare(find_epoch_, "SELECT epoch FROM device_epoch WHERE device = ?1"));
    HONE_RETURN_IF_ERROR(Prepare(save_epoch_,
                                 "INSERT INTO device_epoch (device, epoch) VALUES (?1, ?2) "
                                 "ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch"));
    HONE_RETURN_IF_ERROR(
        Prepare(insert_batch_,
                "INSERT INTO farm_batch (batch_id, client_id, device, epoch, message) "
                "VALUES (?1, ?2, '', 0, ?3) ON CONFLICT DO NOTHING"));
    HONE_RETURN_IF_ERROR(
        Prepare(note_grant_, "UPDATE farm_batch SET device = ?2, epoch = ?3 WHERE batch_id = ?1"));
    HONE_RETURN_IF_ERROR(Prepare(forget_batch_, "DELETE FROM farm_batch WHERE batch_id = ?1"));
    HONE_RETURN_IF_ERROR(Prepare(insert_result_,
                                 "INSERT INTO batch_result (batch_id, unix_ms, message) "
                                 "VALUES (?1, unixepoch() * 1000, ?2)"));
    HONE_RETURN_IF_ERROR(Prepare(
        drop_old_results_, absl::StrCat("DELETE FROM batch_result WHERE unix_ms < (unixepoch() - ",
                                        kBatchResultAgeMaxS, ") * 1000")));
    return absl::OkStatus();
  }

  Status Prepare(SqliteStatement& statement, absl::string_view sql)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    HONE_ASSIGN_OR_RETURN(statement, file_.connection->Prepare(sql));
    return absl::OkStatus();
  }

  // The id of a text in a side table, which takes it in if it is new.
  StatusOr<int64_t> Intern(SqliteStatement& insert, SqliteStatement& find, absl::string_view key,
                           std::optional<absl::string_view> text)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    insert.BindText(1, key);
    if (text) insert.BindText(2, *text);
    HONE_RETURN_IF_ERROR(insert.Run());
    find.BindText(1, key);
    HONE_ASSIGN_OR_RETURN(const bool row, find.Step());
    HONE_CHECK(row) << "a text that was just inserted is not there";
    const int64_t id = find.Integer(0);
    find.Reset();
    return id;
  }

  // An error means that nothing was written.
  Status WriteGroup(absl::Span<const JournalEntry> entries, std::vector<JournalOutcome>& outcomes)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    HONE_RETURN_IF_ERROR(CheckWritable());
    HONE_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*file_.connection));
    for (const JournalEntry& entry : entries) {
      HONE_RETURN_IF_ERROR(file_.connection->Run("SAVEPOINT entry"));
      JournalOutcome outcome = std::visit(
          [this](const auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Do(e); }, entry);
      if (!outcome.status.ok()) {
        if (!IsRefusal(outcome.status)) return outcome.status;
        HONE_RETURN_IF_ERROR(file_.connection->Run("ROLLBACK TO entry"));
      }
      HONE_RETURN_IF_ERROR(file_.connection->Run("RELEASE entry"));
      outcomes.push_back(std::move(outcome));
    }
    return transaction->Commit();
  }

  // --- Entries, each within the caller's savepoint

  JournalOutcome Do(const EpochEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const StatusOr<uint64_t> saved = EpochOf(entry.device);
    if (!saved.ok()) return {saved.status()};
    if (*saved >= entry.epoch) return {EpochNotAbove(entry, *saved)};
    save_epoch_.BindText(1, entry.device);
    save_epoch_.BindInteger(2, static_cast<int64_t>(entry.epoch));
    return {save_epoch_.Run()};
  }

  JournalOutcome Do(const BatchEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (JournalOutcome outcome = CheckUnfinished(entry.batch_id); !outcome.status.ok()) {
      return outcome;
    }
    insert_batch_.BindText(1, entry.batch_id);
    insert_batch_.BindText(2, entry.client_id);
    insert_batch_.BindBlob(3, entry.batch->SerializeAsString());
    return {insert_batch_.Run()};
  }

  JournalOutcome Do(const GrantEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    note_grant_.BindText(1, entry.batch_id);
    note_grant_.BindText(2, entry.device);
    note_grant_.BindInteger(3, static_cast<int64_t>(entry.epoch));
    return {note_grant_.Run()};
  }

  JournalOutcome Do(const OutcomeEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string& batch_id = entry.result.batch_id();
    if (const Status status = CheckBatchResult(entry.result); !status.ok()) return {status};
    if (JournalOutcome outcome = CheckUnfinished(batch_id); !outcome.status.ok()) return outcome;
    if (!entry.device.empty()) {
      const StatusOr<uint64_t> saved = EpochOf(entry.device);
      if (!saved.ok()) return {saved.status()};
      if (*saved != entry.epoch) return {EpochPassed(entry, *saved)};
    }
    if (const Status status = InsertRecords(entry.records); !status.ok()) return {status};
    insert_result_.BindText(1, batch_id);
    insert_result_.BindBlob(2, entry.result.SerializeAsString());
    if (const Status status = insert_result_.Run(); !status.ok()) return {status};
    if (const Status status = drop_old_results_.Run(); !status.ok()) return {status};
    return Do(ForgetEntry{batch_id});
  }

  JournalOutcome Do(const ForgetEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    forget_batch_.BindText(1, entry.batch_id);
    return {forget_batch_.Run()};
  }

  JournalOutcome Do(const TaintEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (const Status status = CheckTaint(entry.taint); !status.ok()) return {status};
    return {MarkTainted(entry)};
  }

  Status MarkTainted(const TaintEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    HONE_ASSIGN_OR_RETURN(const auto messages, MessagesToTaint(entry.device, entry.taint));
    HONE_ASSIGN_OR_RETURN(
        SqliteStatement update,
        file_.connection->Prepare("UPDATE record SET tainted = 1, message = ?2 WHERE id = ?1"));
    for (const auto& [id, message] : messages) {
      pb::Record record;
      const bool readable = record.ParseFromString(message);
      record.mutable_measurement()->set_taint(entry.taint.reason());
      update.BindInteger(1, id);
      update.BindBlob(2, readable ? record.SerializeAsString() : message);
      HONE_RETURN_IF_ERROR(update.Run());
    }
    return absl::OkStatus();
  }

  // 0 if it was never leased.
  StatusOr<uint64_t> EpochOf(absl::string_view device) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    find_epoch_.BindText(1, device);
    HONE_ASSIGN_OR_RETURN(const bool row, find_epoch_.Step());
    const uint64_t epoch = row ? static_cast<uint64_t>(find_epoch_.Integer(0)) : 0;
    find_epoch_.Reset();
    return epoch;
  }

  JournalOutcome CheckUnfinished(absl::string_view batch_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    StatusOr<std::optional<pb::BatchResult>> result = FindResult(batch_id);
    if (!result.ok()) return {result.status()};
    if (!result->has_value()) return {};
    return {AlreadyFinished(batch_id), **std::move(result)};
  }

  StatusOr<std::optional<pb::BatchResult>> FindResult(absl::string_view batch_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    find_result_.BindText(1, batch_id);
    HONE_ASSIGN_OR_RETURN(const bool row, find_result_.Step());
    std::optional<pb::BatchResult> result;
    const bool readable = !row || result.emplace().ParseFromString(find_result_.Blob(0));
    find_result_.Reset();
    if (!readable) {
      return absl::DataLossError(
          absl::StrCat("the result of batch ", batch_id, " in the database cannot be read"));
    }
    return result;
  }

  // Within the caller's transaction.
  Status InsertRecords(absl::Span<const pb::Record> records) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const pb::Record& record : records) {
      HONE_RETURN_IF_ERROR(CheckRecord(record));
      HONE_ASSIGN_OR_RETURN(
          const int64_t workload_id,
          Intern(insert_workload_, find_workload_, record.workload_key(), record.workload()));
      HONE_ASSIGN_OR_RETURN(const int64_t target_id,
                            Intern(insert_target_, find_target_, record.target(), std::nullopt));
      pb::Record message = record;
      message.clear_id();
      message.clear_workload();
      message.clear_workload_key();
      message.clear_target();
      const pb::Measurement& m = record.measurement();
      SqliteStatement& s = insert_record_;
      s.BindInteger(1, workload_id);
      s.BindInteger(2, target_id);
      s.BindText(3, record.numerics());
      s.BindInteger(4, record.codegen_epoch());
      s.BindText(5, record.schedule());
      s.BindText(6, record.layouts());
      s.BindInteger(7, m.failure());
      s.BindInteger(8, m.finalist());
      s.BindReal(9, m.cost_ns());
      s.BindText(10, m.device());
      s.BindInteger(11, m.unix_ms());
      if (record.batch_id().empty()) {
        s.BindNull(12);
      } else {
        s.BindText(12, record.batch_id());
      }
      s.BindInteger(13, record.candidate());
      s.BindBlob(14, message.SerializeAsString());
      s.BindInteger(15, IsTainted(record));
      s.BindInteger(16, IsBench(record));
      HONE_RETURN_IF_ERROR(s.Run());
    }
    return absl::OkStatus();
  }

  absl::Mutex mutex_;
  // Statements after the connection that they belong to: they are destroyed before it.
  SqliteFile file_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement best_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement best_of_layouts_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement insert_record_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement insert_workload_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement find_workload_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement insert_target_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement find_target_ ABSL_GUARDED_BY(mutex_);
  // Of the journal.
  SqliteStatement find_epoch_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement save_epoch_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement insert_batch_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement note_grant_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement forget_batch_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement insert_result_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement find_result_ ABSL_GUARDED_BY(mutex_);
  SqliteStatement drop_old_results_ ABSL_GUARDED_BY(mutex_);
};

SqliteRecordStore::SqliteRecordStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteRecordStore::~SqliteRecordStore() = default;

StatusOr<std::unique_ptr<SqliteRecordStore>> SqliteRecordStore::Open(
    const SqliteOpenOptions& options) {
  HONE_ASSIGN_OR_RETURN(SqliteFile file, OpenSqliteFile(options));
  auto impl = std::make_unique<Impl>(std::move(file));
  HONE_RETURN_IF_ERROR(impl->PrepareAll());
  return std::unique_ptr<SqliteRecordStore>(new SqliteRecordStore(std::move(impl)));
}

Status SqliteRecordStore::Append(absl::Span<const pb::Record> records) {
  return impl_->Append(records);
}

StatusOr<std::optional<pb::Record>> SqliteRecordStore::Best(
    const RecordKey& key, const std::optional<std::string>& layouts) const {
  return impl_->Best(key, layouts);
}

StatusOr<std::vector<pb::Record>> SqliteRecordStore::BestPerLayouts(const RecordKey& key) const {
  HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records,
                        impl_->OfKey(key, absl::StrCat(kCounts,
                                                       "ORDER BY r.layouts, r.bench DESC, "
                                                       "r.finalist DESC, r.cost_ns, r.id")));
  std::vector<pb::Record> best;
  for (pb::Record& record : records) {
    if (best.empty() || best.back().layouts() != record.layouts())
      best.push_back(std::move(record));
  }
  return best;
}

StatusOr<std::vector<pb::Record>> SqliteRecordStore::History(const RecordKey& key) const {
  return impl_->OfKey(key, "ORDER BY r.id");
}

StatusOr<std::vector<pb::Record>> SqliteRecordStore::AllForTarget(absl::string_view target,
                                                                  int64_t limit) const {
  return impl_->Query({.target = std::string(target),
                       .failure = pb::OK,
                       .tainted = false,
                       .newest_first = true,
                       .limit = limit});
}

StatusOr<std::vector<pb::Record>> SqliteRecordStore::Query(const RecordFilter& filter) const {
  return impl_->Query(filter);
}

StatusOr<std::vector<RecordSummary>> SqliteRecordStore::Summarize() const {
  return impl_->Summarize();
}

StatusOr<std::map<std::string, uint64_t>> SqliteRecordStore::LoadEpochs() const {
  return impl_->LoadEpochs();
}

StatusOr<std::vector<JournaledBatch>> SqliteRecordStore::LoadBatches() const {
  return impl_->LoadBatches();
}

StatusOr<pb::FarmPolicy> SqliteRecordStore::LoadPolicy() const { return impl_->LoadPolicy(); }

Status SqliteRecordStore::SavePolicy(const pb::FarmPolicy& policy) {
  return impl_->SavePolicy(policy);
}

Status SqliteRecordStore::Probe() { return impl_->Probe(); }

std::vector<JournalOutcome> SqliteRecordStore::Write(absl::Span<const JournalEntry> entries) {
  return impl_->Write(entries);
}

StatusOr<std::optional<pb::BatchResult>> SqliteRecordStore::FindBatchResult(
    absl::string_view batch_id) const {
  return impl_->FindBatchResult(batch_id);
}

// --- Security

Status SqliteRecordStore::AddJoinToken(const pb::JoinToken& token) {
  return impl_->RunWrite([&](SqliteConnection& connection) {
    return sqlite_security::AddJoinToken(connection, token);
  });
}

StatusOr<pb::JoinToken> SqliteRecordStore::TakeJoinToken(absl::string_view digest,
                                                         int64_t unix_ms) {
  pb::JoinToken token;
  HONE_RETURN_IF_ERROR(impl_->RunWrite([&](SqliteConnection& connection) -> Status {
    HONE_ASSIGN_OR_RETURN(token, sqlite_security::TakeJoinToken(connection, digest, unix_ms));
    return absl::OkStatus();
  }));
  return token;
}

StatusOr<int64_t> SqliteRecordStore::CountJoinTokens(int64_t unix_ms) const {
  return impl_->Read([&](SqliteConnection& connection) {
    return sqlite_security::CountJoinTokens(connection, unix_ms);
  });
}

Status SqliteRecordStore::AppendAudit(absl::Span<const pb::AuditEntry> entries) {
  return impl_->RunWrite([&](SqliteConnection& connection) {
    return sqlite_security::AppendAudit(connection, entries);
  });
}

StatusOr<std::vector<pb::AuditEntry>> SqliteRecordStore::ReadAudit(int64_t after,
                                                                   int64_t limit) const {
  return impl_->Read([&](SqliteConnection& connection) {
    return sqlite_security::ReadAudit(connection, after, limit);
  });
}

StatusOr<std::optional<pb::AuditEntry>> SqliteRecordStore::LastAudit() const {
  return impl_->Read(
      [&](SqliteConnection& connection) { return sqlite_security::LastAudit(connection); });
}

// --- Jobs

StatusOr<std::vector<pb::Job>> SqliteRecordStore::LoadJobs() const {
  return impl_->Read(
      [](SqliteConnection& connection) { return sqlite_jobs::LoadJobs(connection); });
}

Status SqliteRecordStore::SaveJob(const pb::Job& job) {
  return impl_->RunWrite(
      [&](SqliteConnection& connection) { return sqlite_jobs::SaveJob(connection, job); });
}

Status SqliteRecordStore::AppendModel(absl::string_view digest, int64_t offset,
                                      absl::string_view data) {
  return impl_->RunWrite([&](SqliteConnection& connection) {
    return sqlite_jobs::AppendModel(connection, digest, offset, data);
  });
}

StatusOr<int64_t> SqliteRecordStore::ModelBytes(absl::string_view digest) const {
  return impl_->Read(
      [&](SqliteConnection& connection) { return sqlite_jobs::ModelBytes(connection, digest); });
}

StatusOr<std::string> SqliteRecordStore::ReadModel(absl::string_view digest, int64_t offset) const {
  return impl_->Read([&](SqliteConnection& connection) {
    return sqlite_jobs::ReadModel(connection, digest, offset);
  });
}

Status SqliteRecordStore::DropModel(absl::string_view digest) {
  return impl_->RunWrite(
      [&](SqliteConnection& connection) { return sqlite_jobs::DropModel(connection, digest); });
}

}  // namespace hone
