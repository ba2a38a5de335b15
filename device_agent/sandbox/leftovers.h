// Processes that a batch's child started and did not take along when it ended: found where there is
// no PID namespace to do it, because the worker has made itself the one who inherits orphans.
#pragma once

#include "base/status.h"

namespace hone {

// From now on orphans among our descendants become our children.
void AdoptOrphans();

// Kills and reaps all children of this process, and the children these leave, up to `timeout_ms`.
// Returns how many; DEADLINE_EXCEEDED when some would not die.
StatusOr<int> KillChildren(int timeout_ms);

}  // namespace hone
