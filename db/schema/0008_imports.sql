-- Costs that other tuners wrote down, the best of each log, workload and target. They are no
-- measurements of hone's and never an answer: a table of their own, which no question about records
-- reads.
CREATE TABLE imported_cost (
  source TEXT NOT NULL,       -- names the log: digest of its first line
  workload_key TEXT NOT NULL, -- digest of the text
  target TEXT NOT NULL,       -- in the other tuner's words
  workload TEXT NOT NULL,
  format TEXT NOT NULL,       -- "autotvm", "metaschedule"
  costs INTEGER NOT NULL,     -- how many there are in the log
  cost_ns REAL NOT NULL,      -- the least
  line INTEGER NOT NULL,      -- where that stands
  unix_ms INTEGER NOT NULL,   -- when it was measured; 0: not known
  PRIMARY KEY (source, workload_key, target)
) STRICT;

-- How far a log was read: an import that was broken off goes on from there.
CREATE TABLE import_progress (
  source TEXT PRIMARY KEY,
  lines INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest signed package of records of each name and key: an older one is refused.
CREATE TABLE record_package (
  public_key TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,       -- of its manifest
  PRIMARY KEY (public_key, name)
) STRICT;
