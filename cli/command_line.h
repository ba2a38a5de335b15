// Turns the words of a command line into one command's work and an exit code. main() and the tests
// call it; it alone knows the parsing library, and it knows no command in particular.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace hone {

// `words` are argv without the program's name. Help goes to console.out; every error is one line
// "hone: error: what; way out" on console.err.
ExitCode RunCommandLine(const std::vector<std::string>& words, std::vector<Command> commands,
                        const Console& console);

}  // namespace hone
