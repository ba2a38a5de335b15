-- What builders made lately (serialised pb.BuildReply, without code), so that it is not made again
-- after a start of the tracker.
CREATE TABLE build (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  build_key TEXT NOT NULL UNIQUE,
  message BLOB NOT NULL
) STRICT;
