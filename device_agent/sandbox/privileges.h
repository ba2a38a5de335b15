// Giving up what a process may do beyond computing: root's identity, capabilities, and the chance
// of getting any back. For the measuring worker and the processes it forks; nothing here can be
// undone.
#pragma once

#include "base/status.h"

namespace hone {

// Becomes the user and group nobody (65534) when root; nothing otherwise. The parent's death still
// kills the process afterwards (SIGKILL), which a change of user would else forget.
Status DropRoot();

// No capabilities, none by starting a program, and no other process of this user may look into this
// one or trace it.
Status DropCapabilities();

}  // namespace hone
