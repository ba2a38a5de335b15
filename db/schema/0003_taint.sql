-- Records that do not count any more, and those of devices whose clock is known to stand still
-- ("quality" is "bench"), which go before all others of their key.
ALTER TABLE record ADD COLUMN tainted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN bench INTEGER NOT NULL DEFAULT 0;
DROP INDEX record_by_key;
CREATE INDEX record_by_key
  ON record(workload_id, target_id, numerics, codegen_epoch, failure, tainted, bench DESC,
            finalist DESC, cost_ns, id);
CREATE INDEX record_by_device ON record(device, unix_ms);
