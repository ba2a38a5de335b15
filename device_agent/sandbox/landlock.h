// Landlock: the kernel's own refusal of every file, whatever the process' root and user. A second
// wall behind the empty root, put up in each child that runs kernels; where the system has none,
// the level does not depend on it.
#pragma once

namespace hone {

// Whether the system has Landlock (Linux 5.13, and enabled).
bool HasLandlock();

// From now on the calling process can open, make or remove no file. Files that are open stay so.
// Needs no_new_privs. False when the system refuses.
bool RefuseAllFiles();

}  // namespace hone
