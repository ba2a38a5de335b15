// The version of the build worker that was built, as it says itself.
#pragma once

#include "proto/builds.pb.h"

namespace hone {

// Of the program in HONE_BIN_DIR; a failure of the running test, and an empty one, if it cannot be
// asked.
pb::CompilerVersion BuildWorkerVersion();

}  // namespace hone
