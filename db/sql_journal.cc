#include "db/sql_journal.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "db/record_rules.h"
#include "db/sql_records.h"

namespace hone::sql_journal {
namespace {

constexpr int64_t kBatchResultAgeMaxMs = int64_t{7} * 24 * 3'600'000;

// An entry that is refused leaves the others of its group as they are.
bool IsRefusal(const Status& status) {
  return absl::IsAlreadyExists(status) || absl::IsFailedPrecondition(status) ||
         absl::IsInvalidArgument(status);
}

// 0 if it was never leased.
StatusOr<uint64_t> EpochOf(SqlConnection& connection, absl::string_view device) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor find,
                        connection.Prepare("SELECT epoch FROM device_epoch WHERE device = ?1"));
  find->BindText(1, device);
  HONE_ASSIGN_OR_RETURN(const bool row, find->Step());
  return row ? static_cast<uint64_t>(find->Integer(0)) : 0;
}

JournalOutcome CheckUnfinished(SqlConnection& connection, absl::string_view batch_id) {
  StatusOr<std::optional<pb::BatchResult>> result = FindBatchResult(connection, batch_id);
  if (!result.ok()) return {result.status()};
  if (!result->has_value()) return {};
  return {AlreadyFinished(batch_id), **std::move(result)};
}

Status InsertBatch(SqlConnection& connection, const BatchEntry& entry) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor insert,
      connection.Prepare("INSERT INTO farm_batch (batch_id, client_id, device, epoch, message) "
                         "VALUES (?1, ?2, '', 0, ?3) ON CONFLICT DO NOTHING"));
  insert->BindText(1, entry.batch_id);
  insert->BindText(2, entry.client_id);
  insert->BindBlob(3, entry.batch->SerializeAsString());
  return insert->Run();
}

Status SaveEpoch(SqlConnection& connection, const EpochEntry& entry) {
  HONE_ASSIGN_OR_RETURN(const uint64_t saved, EpochOf(connection, entry.device));
  if (saved >= entry.epoch) return EpochNotAbove(entry, saved);
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor save,
      connection.Prepare("INSERT INTO device_epoch (device, epoch) VALUES (?1, ?2) "
                         "ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch"));
  save->BindText(1, entry.device);
  save->BindInteger(2, static_cast<int64_t>(entry.epoch));
  return save->Run();
}

Status NoteGrant(SqlConnection& connection, const GrantEntry& entry) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor note,
      connection.Prepare("UPDATE farm_batch SET device = ?2, epoch = ?3 WHERE batch_id = ?1"));
  note->BindText(1, entry.batch_id);
  note->BindText(2, entry.device);
  note->BindInteger(3, static_cast<int64_t>(entry.epoch));
  return note->Run();
}

Status Forget(SqlConnection& connection, absl::string_view batch_id) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor forget,
                        connection.Prepare("DELETE FROM farm_batch WHERE batch_id = ?1"));
  forget->BindText(1, batch_id);
  return forget->Run();
}

Status Finish(SqlConnection& connection, const OutcomeEntry& entry) {
  if (!entry.device.empty()) {
    HONE_ASSIGN_OR_RETURN(const uint64_t saved, EpochOf(connection, entry.device));
    if (saved != entry.epoch) return EpochPassed(entry, saved);
  }
  HONE_RETURN_IF_ERROR(sql_records::Append(connection, entry.records));
  {
    HONE_ASSIGN_OR_RETURN(const SqlCursor insert,
                          connection.Prepare(absl::StrCat(
                              "INSERT INTO batch_result (batch_id, unix_ms, message) VALUES (?1, ",
                              connection.now_unix_ms(), ", ?2)")));
    insert->BindText(1, entry.result.batch_id());
    insert->BindBlob(2, entry.result.SerializeAsString());
    HONE_RETURN_IF_ERROR(insert->Run());
  }
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor drop_old,
      connection.Prepare(absl::StrCat("DELETE FROM batch_result WHERE unix_ms < ",
                                      connection.now_unix_ms(), " - ", kBatchResultAgeMaxMs)));
  HONE_RETURN_IF_ERROR(drop_old->Run());
  return Forget(connection, entry.result.batch_id());
}

// --- Entries, each within the caller's savepoint

JournalOutcome Do(SqlConnection& connection, const EpochEntry& entry) {
  return {SaveEpoch(connection, entry)};
}

JournalOutcome Do(SqlConnection& connection, const BatchEntry& entry) {
  JournalOutcome outcome = CheckUnfinished(connection, entry.batch_id);
  return outcome.status.ok() ? JournalOutcome{InsertBatch(connection, entry)} : outcome;
}

JournalOutcome Do(SqlConnection& connection, const GrantEntry& entry) {
  return {NoteGrant(connection, entry)};
}

JournalOutcome Do(SqlConnection& connection, const OutcomeEntry& entry) {
  if (const Status status = CheckBatchResult(entry.result); !status.ok()) return {status};
  JournalOutcome outcome = CheckUnfinished(connection, entry.result.batch_id());
  return outcome.status.ok() ? JournalOutcome{Finish(connection, entry)} : outcome;
}

JournalOutcome Do(SqlConnection& connection, const ForgetEntry& entry) {
  return {Forget(connection, entry.batch_id)};
}

JournalOutcome Do(SqlConnection& connection, const TaintEntry& entry) {
  if (const Status status = CheckTaint(entry.taint); !status.ok()) return {status};
  return {sql_records::MarkTainted(connection, entry.device, entry.taint)};
}

}  // namespace

StatusOr<std::vector<JournalOutcome>> Write(SqlConnection& connection,
                                            absl::Span<const JournalEntry> entries) {
  std::vector<JournalOutcome> outcomes;
  for (const JournalEntry& entry : entries) {
    HONE_RETURN_IF_ERROR(connection.Run("SAVEPOINT entry"));
    JournalOutcome outcome = std::visit([&](const auto& e) { return Do(connection, e); }, entry);
    if (!outcome.status.ok()) {
      if (!IsRefusal(outcome.status)) return outcome.status;
      HONE_RETURN_IF_ERROR(connection.Run("ROLLBACK TO entry"));
    }
    HONE_RETURN_IF_ERROR(connection.Run("RELEASE entry"));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

StatusOr<std::map<std::string, uint64_t>> LoadEpochs(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare("SELECT device, epoch FROM device_epoch"));
  std::map<std::string, uint64_t> epochs;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return epochs;
    epochs[statement->Text(0)] = static_cast<uint64_t>(statement->Integer(1));
  }
}

StatusOr<std::vector<JournaledBatch>> LoadBatches(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare(
          "SELECT client_id, batch_id, device, epoch, message FROM farm_batch ORDER BY id"));
  std::vector<JournaledBatch> batches;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return batches;
    pb::Batch batch;
    if (!batch.ParseFromString(statement->Blob(4))) {
      return absl::DataLossError(
          absl::StrCat("batch ", statement->Text(1), " in the database cannot be read"));
    }
    batches.push_back({.client_id = statement->Text(0),
                       .batch_id = statement->Text(1),
                       .batch = std::make_shared<const pb::Batch>(std::move(batch)),
                       .device = statement->Text(2),
                       .epoch = static_cast<uint64_t>(statement->Integer(3))});
  }
}

StatusOr<std::optional<pb::BatchResult>> FindBatchResult(SqlConnection& connection,
                                                         absl::string_view batch_id) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor find,
                        connection.Prepare("SELECT message FROM batch_result WHERE batch_id = ?1"));
  find->BindText(1, batch_id);
  HONE_ASSIGN_OR_RETURN(const bool row, find->Step());
  std::optional<pb::BatchResult> result;
  if (row && !result.emplace().ParseFromString(find->Blob(0))) {
    return absl::DataLossError(
        absl::StrCat("the result of batch ", batch_id, " in the database cannot be read"));
  }
  return result;
}

StatusOr<pb::FarmPolicy> LoadPolicy(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare("SELECT message FROM farm_policy"));
  HONE_ASSIGN_OR_RETURN(const bool found, statement->Step());
  pb::FarmPolicy policy;
  if (found && !policy.ParseFromString(statement->Blob(0))) {
    return absl::DataLossError("the farm's policy cannot be read; set it anew");
  }
  return policy;
}

Status SavePolicy(SqlConnection& connection, const pb::FarmPolicy& policy) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor save,
      connection.Prepare("INSERT INTO farm_policy (id, message) VALUES (1, ?1) "
                         "ON CONFLICT (id) DO UPDATE SET message = excluded.message"));
  save->BindBlob(1, policy.SerializeAsString());
  return save->Run();
}

}  // namespace hone::sql_journal
