// The exit codes of `hone`, and which error leads to which. Commands return them, scripts read
// them, docs/manual.md lists them; nothing else in hone decides how a process ends.
#pragma once

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

enum class ExitCode : int {
  kOk = 0,
  kCheckFailed =
      1,          // the work was done, and its answer is "no": numbers differ, a doctor's finding
  kBadInput = 2,  // wrong usage, or an input that hone cannot take
  kFile = 3,      // a file or the database: absent, unreadable, corrupt, locked, disk full
  kUnreachable = 4,   // no tracker, or no device
  kInternal = 5,      // a bug of hone's
  kInterrupted = 130  // Ctrl-C; everything measured so far is kept
};

// The one place where an error gets its exit code.
ExitCode ExitCodeOf(const Status& status);

// What the code means, for the manual and the help: "numbers differ, or a finding".
absl::string_view ExitCodeMeaning(ExitCode code);

}  // namespace hone
