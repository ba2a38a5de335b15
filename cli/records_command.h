// `hone records`: what the database knows.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeRecordsCommand();

}  // namespace hone
