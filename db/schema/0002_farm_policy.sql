-- What the owners of the farm have decided (a serialised pb.FarmPolicy); at most one row.
CREATE TABLE farm_policy (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  message BLOB NOT NULL
) STRICT;
