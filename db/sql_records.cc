#include "db/sql_records.h"

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "db/record_rules.h"

namespace hone::sql_records {
namespace {

// What ReadRecord reads, in its order.
constexpr absl::string_view kRecordColumns =
    "SELECT r.id, w.key, w.text, t.text, r.message FROM record r "
    "JOIN workload w ON w.id = r.workload_id JOIN target t ON t.id = r.target_id ";
constexpr absl::string_view kOfKey =
    "WHERE w.key = ?1 AND t.text = ?2 AND r.numerics = ?3 AND r.codegen_epoch = ?4 ";
constexpr absl::string_view kCounts = "AND r.failure = 0 AND r.tainted = 0 ";
constexpr absl::string_view kBestFirst = "ORDER BY r.bench DESC, r.finalist DESC, r.cost_ns, r.id ";

StatusOr<pb::Record> ReadRecord(const SqlStatement& row) {
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

StatusOr<std::vector<pb::Record>> ReadRecords(SqlStatement& statement) {
  std::vector<pb::Record> records;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return records;
    HONE_ASSIGN_OR_RETURN(pb::Record record, ReadRecord(statement));
    records.push_back(std::move(record));
  }
}

void BindKey(SqlStatement& statement, const RecordKey& key) {
  statement.BindText(1, key.workload_key);
  statement.BindText(2, key.target);
  statement.BindText(3, key.numerics);
  statement.BindInteger(4, key.codegen_epoch);
}

StatusOr<std::vector<pb::Record>> OfKey(SqlConnection& connection, const RecordKey& key,
                                        absl::string_view rest) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare(absl::StrCat(kRecordColumns, kOfKey, rest)));
  BindKey(*statement, key);
  return ReadRecords(*statement);
}

// Builds "WHERE a = ?1 AND b = ?2" and binds in the same order.
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
  // Returns the next place.
  int Bind(SqlStatement& statement) const {
    int place = 1;
    for (const Value& value : values_) {
      if (value.text) {
        statement.BindText(place, *value.text);
      } else {
        statement.BindInteger(place, value.number);
      }
      ++place;
    }
    return place;
  }
  int next_place() const { return static_cast<int>(values_.size()) + 1; }

 private:
  struct Value {
    std::optional<std::string> text;
    int64_t number = 0;
  };
  std::vector<std::string> texts_;
  std::vector<Value> values_;
};

// The id of a text in a side table, which takes it in if it is new.
StatusOr<int64_t> Intern(SqlConnection& connection, absl::string_view find_sql,
                         absl::string_view insert_sql, absl::string_view key,
                         std::optional<absl::string_view> text) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor find, connection.Prepare(find_sql));
  find->BindText(1, key);
  HONE_ASSIGN_OR_RETURN(bool row, find->Step());
  if (!row) {
    HONE_ASSIGN_OR_RETURN(const SqlCursor insert, connection.Prepare(insert_sql));
    insert->BindText(1, key);
    if (text) insert->BindText(2, *text);
    HONE_RETURN_IF_ERROR(insert->Run());
    find->Reset();
    find->BindText(1, key);
    HONE_ASSIGN_OR_RETURN(row, find->Step());
  }
  HONE_CHECK(row) << "a text that was just inserted is not there";
  return find->Integer(0);
}

// Ids of side tables, asked for once a call: the records of a batch share them.
class Interned {
 public:
  explicit Interned(SqlConnection& connection) : connection_(connection) {}
  StatusOr<int64_t> Workload(const pb::Record& record) {
    const auto found = workloads_.find(record.workload_key());
    if (found != workloads_.end()) return found->second;
    HONE_ASSIGN_OR_RETURN(
        const int64_t id,
        Intern(connection_, "SELECT id FROM workload WHERE key = ?1",
               "INSERT INTO workload (key, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
               record.workload_key(), record.workload()));
    workloads_[record.workload_key()] = id;
    return id;
  }
  StatusOr<int64_t> Target(const pb::Record& record) {
    const auto found = targets_.find(record.target());
    if (found != targets_.end()) return found->second;
    HONE_ASSIGN_OR_RETURN(const int64_t id,
                          Intern(connection_, "SELECT id FROM target WHERE text = ?1",
                                 "INSERT INTO target (text) VALUES (?1) ON CONFLICT DO NOTHING",
                                 record.target(), std::nullopt));
    targets_[record.target()] = id;
    return id;
  }

 private:
  SqlConnection& connection_;
  std::map<absl::string_view, int64_t> workloads_;  // views of the caller's records
  std::map<absl::string_view, int64_t> targets_;
};

}  // namespace

Status Append(SqlConnection& connection, absl::Span<const pb::Record> records) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor s,
      connection.Prepare(
          "INSERT INTO record (workload_id, target_id, numerics, codegen_epoch, schedule, layouts, "
          "failure, finalist, cost_ns, device, unix_ms, batch_id, candidate, message, "
          "tainted, bench) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16) "
          "ON CONFLICT DO NOTHING"));
  Interned ids(connection);
  for (const pb::Record& record : records) {
    HONE_RETURN_IF_ERROR(CheckRecord(record));
    HONE_ASSIGN_OR_RETURN(const int64_t workload_id, ids.Workload(record));
    HONE_ASSIGN_OR_RETURN(const int64_t target_id, ids.Target(record));
    pb::Record message = record;
    message.clear_id();
    message.clear_workload();
    message.clear_workload_key();
    message.clear_target();
    const pb::Measurement& m = record.measurement();
    s->BindInteger(1, workload_id);
    s->BindInteger(2, target_id);
    s->BindText(3, record.numerics());
    s->BindInteger(4, record.codegen_epoch());
    s->BindText(5, record.schedule());
    s->BindText(6, record.layouts());
    s->BindInteger(7, m.failure());
    s->BindInteger(8, m.finalist());
    s->BindReal(9, m.cost_ns());
    s->BindText(10, m.device());
    s->BindInteger(11, m.unix_ms());
    if (record.batch_id().empty()) {
      s->BindNull(12);
    } else {
      s->BindText(12, record.batch_id());
    }
    s->BindInteger(13, record.candidate());
    s->BindBlob(14, message.SerializeAsString());
    s->BindInteger(15, IsTainted(record));
    s->BindInteger(16, IsBench(record));
    HONE_RETURN_IF_ERROR(s->Run());
  }
  return absl::OkStatus();
}

StatusOr<std::optional<pb::Record>> Best(SqlConnection& connection, const RecordKey& key,
                                         const std::optional<std::string>& layouts) {
  // Looked up for every kernel of a model, in microseconds each.
  static const auto* const kBest =
      new std::string(absl::StrCat(kRecordColumns, kOfKey, kCounts, kBestFirst, "LIMIT 1"));
  static const auto* const kBestOfLayouts = new std::string(
      absl::StrCat(kRecordColumns, kOfKey, kCounts, "AND r.layouts = ?5 ", kBestFirst, "LIMIT 1"));
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare(layouts ? *kBestOfLayouts : *kBest));
  BindKey(*statement, key);
  if (layouts) statement->BindText(5, *layouts);
  HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, ReadRecords(*statement));
  if (records.empty()) return std::optional<pb::Record>();
  return std::optional<pb::Record>(std::move(records.front()));
}

StatusOr<std::vector<pb::Record>> BestPerLayouts(SqlConnection& connection, const RecordKey& key) {
  HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records,
                        OfKey(connection, key,
                              absl::StrCat(kCounts,
                                           "ORDER BY r.layouts, r.bench DESC, r.finalist DESC, "
                                           "r.cost_ns, r.id")));
  std::vector<pb::Record> best;
  for (pb::Record& record : records) {
    if (best.empty() || best.back().layouts() != record.layouts())
      best.push_back(std::move(record));
  }
  return best;
}

StatusOr<std::vector<pb::Record>> History(SqlConnection& connection, const RecordKey& key) {
  return OfKey(connection, key, "ORDER BY r.id");
}

StatusOr<std::vector<pb::Record>> Query(SqlConnection& connection, const RecordFilter& filter) {
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
  if (filter.limit > 0) absl::StrAppend(&sql, " LIMIT ?", conditions.next_place());
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement, connection.Prepare(sql));
  const int place = conditions.Bind(*statement);
  if (filter.limit > 0) statement->BindInteger(place, filter.limit);
  return ReadRecords(*statement);
}

StatusOr<std::vector<RecordSummary>> Summarize(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare(
          "SELECT w.key, w.text, t.text, r.numerics, r.codegen_epoch, count(*), "
          "sum(CASE WHEN r.failure != 0 THEN 1 ELSE 0 END), "
          "min(CASE WHEN r.failure = 0 AND r.tainted = 0 THEN r.cost_ns END), max(r.unix_ms) "
          "FROM record r JOIN workload w ON w.id = r.workload_id "
          "JOIN target t ON t.id = r.target_id "
          "GROUP BY w.id, t.id, r.numerics, r.codegen_epoch ORDER BY min(r.id)"));
  std::vector<RecordSummary> result;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return result;
    RecordSummary& summary = result.emplace_back();
    summary.key = {.workload_key = statement->Text(0),
                   .target = statement->Text(2),
                   .numerics = statement->Text(3),
                   .codegen_epoch = static_cast<int>(statement->Integer(4))};
    summary.workload = statement->Text(1);
    summary.records = statement->Integer(5);
    summary.failures = statement->Integer(6);
    if (!statement->IsNull(7)) summary.best_cost_ns = statement->Real(7);
    summary.latest_unix_ms = statement->Integer(8);
  }
}

Status MarkTainted(SqlConnection& connection, absl::string_view device, const pb::Taint& taint) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor select,
                        connection.Prepare("SELECT id, message FROM record WHERE device = ?1 "
                                           "AND unix_ms BETWEEN ?2 AND ?3 AND tainted = 0"));
  select->BindText(1, device);
  select->BindInteger(2, taint.since_unix_ms());
  select->BindInteger(3, taint.until_unix_ms());
  // All of them first: what is being read is not to change.
  std::vector<std::pair<int64_t, std::string>> messages;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, select->Step());
    if (!row) break;
    messages.emplace_back(select->Integer(0), select->Blob(1));
  }
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor update,
      connection.Prepare("UPDATE record SET tainted = 1, message = ?2 WHERE id = ?1"));
  for (const auto& [id, message] : messages) {
    pb::Record record;
    const bool readable = record.ParseFromString(message);
    record.mutable_measurement()->set_taint(taint.reason());
    update->BindInteger(1, id);
    update->BindBlob(2, readable ? record.SerializeAsString() : message);
    HONE_RETURN_IF_ERROR(update->Run());
  }
  return absl::OkStatus();
}

}  // namespace hone::sql_records
