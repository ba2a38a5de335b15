// The measuring worker's main loop: takes batches and models from the agent, has them run in forked
// processes inside the sandbox, and when a candidate brings such a process down, runs the others
// again, each alone. So a candidate that crashes, hangs or scribbles costs itself and a few
// milliseconds. One thread, little memory: forks are cheap and safe.
#pragma once

#include "base/status.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/sandbox/sandbox.h"
#include "proto/worker.pb.h"

namespace hone {

// Reads MeasureRequests from `socket` and answers each with a CandidateDone for every candidate and
// a MeasureDone (of a model: with what it gave, and a ModelDone), until the peer closes. An error
// when the stream is broken, or when a process that ran a kernel cannot be killed. `core`: for
// batches on one thread.
Status ServeBatches(int socket, const Sandbox& sandbox, const MeasuringCore& core);

}  // namespace hone
