// The file system that measured code sees: an empty, read-only root with a /proc of its own PID
// namespace and what /sys says of the processors, nothing of the host's files. For the first
// process of new namespaces (namespaces.h), once.
#pragma once

#include "base/status.h"

namespace hone {

// Replaces the root of the calling process' mount namespace. PERMISSION_DENIED says which step the
// system refused.
Status EmptyTheRoot();

}  // namespace hone
