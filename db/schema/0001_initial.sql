-- Version 1. A row of `record` is one measurement of one schedule. `message` is the truth: a
-- serialised pb.Record without what stands in workload and target. The other columns repeat what
-- questions are asked about, so that they can be indexed and read with the sqlite3 shell.

CREATE TABLE workload (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,   -- digest of the text
  text TEXT NOT NULL
) STRICT;

CREATE TABLE target (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  workload_id INTEGER NOT NULL REFERENCES workload(id),
  target_id INTEGER NOT NULL REFERENCES target(id),
  numerics TEXT NOT NULL,
  codegen_epoch INTEGER NOT NULL,
  schedule TEXT NOT NULL,
  layouts TEXT NOT NULL,
  failure INTEGER NOT NULL,   -- pb.FailureKind; 0 is OK
  finalist INTEGER NOT NULL,
  cost_ns REAL NOT NULL,
  device TEXT NOT NULL,
  unix_ms INTEGER NOT NULL,
  batch_id TEXT,              -- NULL when not measured by a farm
  candidate INTEGER NOT NULL,
  message BLOB NOT NULL
) STRICT;

-- A measurement counts once, however often it is handed in.
CREATE UNIQUE INDEX record_by_batch ON record(batch_id, candidate) WHERE batch_id IS NOT NULL;
-- The lookup of the compiler: the first row is the answer.
CREATE INDEX record_by_key
  ON record(workload_id, target_id, numerics, codegen_epoch, failure, finalist DESC, cost_ns, id);
CREATE INDEX record_by_target ON record(target_id, failure, id);

-- The tracker's journal: epoch of the latest lease of each device.
CREATE TABLE device_epoch (
  device TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- And its finished batches (serialised pb.BatchResult), for clients that ask again.
CREATE TABLE batch_result (
  batch_id TEXT PRIMARY KEY,
  unix_ms INTEGER NOT NULL,
  message BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_result_by_age ON batch_result(unix_ms);
