-- Tuning jobs (serialised pb.Job).
CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  phase INTEGER NOT NULL,     -- pb.JobPhase
  epoch INTEGER NOT NULL,     -- of its latest attempt
  message BLOB NOT NULL
) STRICT;

-- The models that they are about, in pieces: until the last job of one has ended.
CREATE TABLE model_piece (
  digest TEXT NOT NULL,       -- of the whole model
  place INTEGER NOT NULL,     -- of the piece's first byte
  data BLOB NOT NULL,
  PRIMARY KEY (digest, place)
) STRICT;
