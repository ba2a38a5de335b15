// A world of its own for the measuring worker: user, PID, network, IPC and UTS namespaces, made
// once when the worker starts. The worker becomes the PID namespace's first process, so that
// whatever a kernel starts dies with it, and forks its children inside. Knows nothing of batches.
#pragma once

#include "base/status.h"

namespace hone {

// Enters new namespaces. Returns in a new process, the first of its PID namespace, which has all
// capabilities inside (and none outside) until it drops them; the calling process never returns
// then: it waits until all in the namespace are gone and ends as the new one did; SIGTERM to it
// kills the new one at once. Each dies with its parent. An error returns in the caller, says what
// the system refuses, and what would allow it. To be called with one thread, and not as root.
Status EnterNamespaces();

// Kills every process that was started in this one's PID namespace and waits for them: up to
// `timeout_ms`. For the namespace's first process. Returns how many there were; DEADLINE_EXCEEDED
// when some would not die.
StatusOr<int> KillAllOthers(int timeout_ms);

}  // namespace hone
