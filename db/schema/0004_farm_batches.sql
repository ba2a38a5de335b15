-- Batches that are to be measured, in the order they were taken in (`id`). A row goes when the batch
-- is finished (batch_result) or nobody wants it any more.
CREATE TABLE farm_batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  batch_id TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  device TEXT NOT NULL,       -- it was given to last, under this epoch; '' for none
  epoch INTEGER NOT NULL,
  message BLOB NOT NULL       -- a serialised pb.Batch
) STRICT;
