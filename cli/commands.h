// The table of all commands of `hone`. A new command is one file cli/<name>_command.{h,cc} and one
// line in commands.cc.
#pragma once

#include <vector>

#include "cli/command.h"

namespace hone {

std::vector<Command> AllCommands();

}  // namespace hone
