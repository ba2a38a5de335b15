// Console: where a command speaks to a person. Passed to every command, so that tests read what a
// command says; only main() makes one on the process's own streams.
#pragma once

#include <ostream>

#include "base/status.h"

namespace hone {

struct Console {
  std::ostream& out;        // results: what a script may read
  std::ostream& err;        // errors, warnings and progress
  bool live = false;        // err is a terminal: progress may redraw itself
  bool out_is_tty = false;  // out is a terminal
  int width = 80;           // columns of the terminal; 80 in a pipe

  // Prints "hone: error: ..." on one line, whatever the message holds.
  void PrintError(const Status& status) const;
  // Prints "hone: warning: ..." on one line.
  void PrintWarning(absl::string_view message) const;
};

// A console on std::cout and std::cerr, which knows whether they are terminals.
Console StandardConsole();

}  // namespace hone
