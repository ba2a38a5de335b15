// The unix sockets that a tracker listens at: a killed tracker leaves its file behind, which must
// go, and that of a living one must stay. Used by both of the tracker's servers.
#pragma once

#include <string>

#include "base/status.h"

namespace hone {

// Removes what is left of a dead server at "unix:/path"; other addresses need nothing.
// FailedPrecondition if a living one listens there.
Status ClearSocket(const std::string& listen);

}  // namespace hone
