// Where the event logs of hone's servers go: stderr, through a queue, so that a reader of the log
// that stands still costs lines and never a server's time. Used by the programs' mains.
#pragma once

#include "base/event_log.h"

namespace hone {

// Lines below `least` are dropped. When the queue is full, its oldest lines are. What is queued is
// written when the last copy of the sink goes.
EventLog::Sink MakeLogSink(LogLevel least);

}  // namespace hone
