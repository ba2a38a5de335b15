#include "tests/chaos/store_history.h"

#include <sqlite3.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "db/sqlite_connection.h"
#include "proto/batch.pb.h"

namespace hone {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int64_t kNanosPerMilli = 1'000'000;

// The device and its epoch of an outcome are those of its first record: a row of `record` comes in
// the same transaction, before that of `batch_result`.
constexpr char kTriggers[] = R"(
CREATE TABLE chaos_history (
  id INTEGER PRIMARY KEY,
  unix_ms INTEGER NOT NULL,
  act TEXT NOT NULL,
  device TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  batch TEXT NOT NULL
) STRICT;
CREATE TRIGGER chaos_new_epoch AFTER INSERT ON device_epoch BEGIN
  INSERT INTO chaos_history (unix_ms, act, device, epoch, batch) VALUES
    (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'epoch', NEW.device, NEW.epoch, '');
END;
CREATE TRIGGER chaos_next_epoch AFTER UPDATE ON device_epoch BEGIN
  INSERT INTO chaos_history (unix_ms, act, device, epoch, batch) VALUES
    (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'epoch', NEW.device, NEW.epoch, '');
END;
CREATE TRIGGER chaos_outcome AFTER INSERT ON batch_result BEGIN
  INSERT INTO chaos_history (unix_ms, act, device, epoch, batch) VALUES
    (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 'commit',
     COALESCE((SELECT device FROM record WHERE batch_id = NEW.batch_id LIMIT 1), ''),
     COALESCE((SELECT epoch FROM device_epoch WHERE device =
       (SELECT device FROM record WHERE batch_id = NEW.batch_id LIMIT 1)), 0),
     NEW.batch_id);
END;
)";

StatusOr<std::unique_ptr<SqliteConnection>> Connect(const std::string& database, int flags) {
  HONE_ASSIGN_OR_RETURN(auto connection, SqliteConnection::Open(database, flags, database));
  sqlite3_busy_timeout(connection->handle(), kBusyTimeoutMs);
  return connection;
}

}  // namespace

Status NoteHistoryIn(const std::string& database) {
  HONE_ASSIGN_OR_RETURN(const auto connection, Connect(database, SQLITE_OPEN_READWRITE));
  return connection->Run(kTriggers);
}

StatusOr<StoreHistory> ReadStoreHistory(const std::string& database,
                                        const std::function<void(HistoryEvent)>& see) {
  // A reader of a file in WAL mode writes beside it.
  HONE_ASSIGN_OR_RETURN(const auto connection, Connect(database, SQLITE_OPEN_READWRITE));
  StoreHistory history;
  HONE_ASSIGN_OR_RETURN(history.waiting,
                        connection->QueryInteger("SELECT count(*) FROM farm_batch"));
  HONE_ASSIGN_OR_RETURN(history.records, connection->QueryInteger("SELECT count(*) FROM record"));
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor rows,
      connection->Prepare(
          "SELECT h.unix_ms, h.act, h.device, h.epoch, h.batch, r.message, "
          "(SELECT count(*) FROM record WHERE batch_id = h.batch AND h.batch != '') "
          "FROM chaos_history h LEFT JOIN batch_result r ON r.batch_id = h.batch "
          "ORDER BY h.id"));
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool there, rows->Step());
    if (!there) break;
    HistoryEvent event;
    event.time_ns = rows->Integer(0) * kNanosPerMilli;
    event.process = "tracker";
    event.device = rows->Text(2);
    event.epoch = static_cast<uint64_t>(rows->Integer(3));
    event.batch = rows->Text(4);
    event.act = rows->Text(1) == "epoch" ? HistoryEvent::Act::kEpoch : HistoryEvent::Act::kCommit;
    if (event.act == HistoryEvent::Act::kEpoch) {
      see(std::move(event));
      continue;
    }
    ++history.outcomes;
    pb::BatchResult result;
    if (!result.ParseFromString(rows->Blob(5))) {
      history.contradictions.push_back(absl::StrCat(event.batch, ": its outcome cannot be read"));
      continue;
    }
    event.outcome = result.error().empty() ? "measured" : result.error();
    const int64_t wanted = result.error().empty() ? result.measurements_size() : 0;
    if (rows->Integer(6) != wanted) {
      history.contradictions.push_back(absl::StrCat(event.batch, " ended '", event.outcome,
                                                    "' with ", wanted, " measurements, and has ",
                                                    rows->Integer(6), " records"));
    }
    see(std::move(event));
  }
  return history;
}

}  // namespace hone
