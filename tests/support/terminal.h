// A terminal for tests of programs: a folder of its own, an environment, and the programs under
// test (those of HONE_BIN_DIR) found by their names. Used by tests that do what people do; what it
// started and wrote goes with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "rpc/child_process.h"
#include "tests/support/scratch_folder.h"

namespace hone {

// How a line of the shell ended, and what it wrote.
struct Outcome {
  int exit_code = -1;  // -1 where a signal ended it
  std::string out;
  std::string err;
};

class Terminal {
 public:
  // Variables of the shell on top of the test's own, which sees no farm and no database but the
  // test's.
  explicit Terminal(const std::map<std::string, std::string>& environment = {});

  // Of every line from now on.
  void SetVariable(const std::string& name, const std::string& value);

  // Runs a line of the shell in the folder, to its end.
  Outcome Shell(const std::string& line);

  // Starts a program, which runs until it is killed or the test ends, with the test's variables. It
  // goes by NAME, in place of an earlier one of that name, and its output is added to NAME.log.
  void Start(const std::string& name, const std::string& program,
             std::vector<std::string> arguments);
  // With SIGKILL.
  void Kill(const std::string& name);

  // The bytes of a file of the folder; none if it is absent.
  std::string Read(const std::string& name) const;
  void Write(const std::string& name, absl::string_view bytes) const;
  bool Exists(const std::string& name) const;
  std::string Path(const std::string& name) const { return folder_ / name; }

 private:
  const ScratchFolder folder_;
  std::string variables_;                         // "NAME='VALUE' ..."
  std::map<std::string, ChildProcess> programs_;  // by name; they end before the folder goes
};

}  // namespace hone
