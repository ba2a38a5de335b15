-- Tokens with which new members join: digests only, so that the file gives none away.
CREATE TABLE join_token (
  digest TEXT PRIMARY KEY,
  identity TEXT NOT NULL,
  made_by TEXT NOT NULL,
  expires_unix_ms INTEGER NOT NULL,
  used_unix_ms INTEGER  -- NULL: not yet
) STRICT, WITHOUT ROWID;

-- The trail of what was done to the farm (serialised pb.AuditEntry), each chained to the one before.
-- Nothing here is ever changed or removed.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  message BLOB NOT NULL
) STRICT;
