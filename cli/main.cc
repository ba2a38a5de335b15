#include <csignal>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/console.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe shows as a failed write, with a message
  return static_cast<int>(hone::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc),
                                               hone::AllCommands(), hone::StandardConsole()));
}
