// Command: one subcommand of `hone` as a plain value: its help, its options and what it does. Each
// cli/<name>_command.cc fills one in; commands.cc lists them; command_line.cc parses for all of
// them and is the only file that knows the parsing library.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "cli/console.h"
#include "cli/exit_code.h"

namespace hone {

// Where an option's value goes, which also says of what type it is. What the variable holds before
// parsing is the default, and shown in the help. bool: a flag. Vector: the option may be repeated.
using OptionValue = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;

struct Option {
  std::string name;         // "--trials", "-o,--output", or positional: "MODEL"
  std::string placeholder;  // of the value, in the help: "N", "FILE"; "" for flags and positionals
  std::string help;         // one or two lines; the default is added
  OptionValue value;        // must outlive parsing: points into what `run` holds
  bool required = false;
  // Numbers below it are refused with a message that names the option.
  double minimum = -1e300;
};

// The tables that `hone --help` groups commands by, in this order.
enum class CommandGroup { kTune, kRun, kFarm };

struct Command {
  std::string name;  // "tune"
  CommandGroup group = CommandGroup::kTune;
  std::string summary;      // one line for `hone --help`, lower case, without a full stop
  std::string description;  // what it does and when to use it; paragraphs split by "\n\n"
  std::vector<Option> options;
  std::vector<std::string> examples;  // "hone tune model.onnx --minutes 10"
  std::string next;                   // what one usually does after it
  // Does the work. A returned error is printed as one line and gives the exit code (exit_code.h);
  // a command ends with ExitCode::kCheckFailed when its answer is "no".
  std::function<StatusOr<ExitCode>(const Console&)> run;
};

// `hone NAME --help`, wrapped at 80 columns.
std::string CommandHelp(const Command& command);
// `hone --help`.
std::string ProgramHelp(const std::vector<Command>& commands);

}  // namespace hone
