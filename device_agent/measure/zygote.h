// The measuring worker's main loop: takes batches from the agent, runs each in a forked child, and
// when a candidate brings the child down, runs the others again, each alone. So a candidate that
// crashes, hangs or scribbles costs itself and a few milliseconds. One thread, little memory: forks
// are cheap and safe. Times nothing itself.
#pragma once

#include "base/status.h"
#include "proto/worker.pb.h"

namespace hone {

// Reads MeasureRequests from `socket` and answers each with a CandidateDone for every candidate and
// a MeasureDone, until the peer closes. An error when the stream is broken.
Status ServeBatches(int socket);

}  // namespace hone
