#include "cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

// Scripts read errors line by line, so one error is one line.
std::string OneLine(absl::string_view message) {
  return absl::StrReplaceAll(absl::StripTrailingAsciiWhitespace(message),
                             {{"\r", ""}, {"\n", "; "}});
}

int TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

void Console::PrintError(const Status& status) const {
  err << "hone: error: " << OneLine(status.message()) << std::endl;
}

void Console::PrintWarning(absl::string_view message) const {
  err << "hone: warning: " << OneLine(message) << std::endl;
}

Console StandardConsole() {
  return {.out = std::cout,
          .err = std::cerr,
          .live = isatty(STDERR_FILENO) == 1,
          .out_is_tty = isatty(STDOUT_FILENO) == 1,
          .width = TerminalWidth()};
}

}  // namespace hone
