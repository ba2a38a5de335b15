#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

Status UsageError(absl::string_view what, absl::string_view command) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, "; see hone ", command, command.empty() ? "" : " ", "--help"));
}

void AddOption(const Option& option, CLI::App* app) {
  CLI::Option* added = std::visit(
      [&](auto* value) {
        if constexpr (std::is_same_v<decltype(value), bool*>) {
          return app->add_flag(option.name, *value, option.help);
        } else {
          return app->add_option(option.name, *value, option.help);
        }
      },
      option.value);
  added->required(option.required);
  if (std::holds_alternative<std::vector<std::string>*>(option.value) && option.name[0] == '-') {
    added->allow_extra_args(false);  // one value a time: what follows may be a positional
  }
  if (option.minimum > -1e300) {
    added->check([minimum = option.minimum](const std::string& text) {
      double number = 0;
      if (!absl::SimpleAtod(text, &number)) return absl::StrCat("'", text, "' is not a number");
      if (number >= minimum) return std::string();
      return absl::StrFormat("%s is below the least allowed, %g", text, minimum);
    });
  }
}

// The words that name a command by mistake get the nearest one offered.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

Status UnknownCommand(const std::string& word, const std::vector<Command>& commands) {
  auto nearest = std::min_element(
      commands.begin(), commands.end(), [&](const Command& left, const Command& right) {
        return EditDistance(word, left.name) < EditDistance(word, right.name);
      });
  if (nearest != commands.end() && EditDistance(word, nearest->name) <= 2) {
    return UsageError(absl::StrCat("no command '", word, "'; did you mean ", nearest->name, "?"),
                      "");
  }
  return UsageError(absl::StrCat("no command '", word, "'"), "");
}

Status Parse(const Command& command, const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();  // help is ours: CommandHelp
  for (const Option& option : command.options) AddOption(option, &app);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    if (!what.empty() && what.back() == '.') what.pop_back();
    return UsageError(what, command.name);
  }
  return absl::OkStatus();
}

bool AsksForHelp(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

ExitCode Fail(const Status& status, const Console& console) {
  console.PrintError(status);
  return ExitCodeOf(status);
}

}  // namespace

ExitCode RunCommandLine(const std::vector<std::string>& words, std::vector<Command> commands,
                        const Console& console) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" ||
      (words.size() == 1 && words[0] == "help")) {
    console.out << ProgramHelp(commands) << std::flush;
    return words.empty() ? ExitCode::kBadInput : ExitCode::kOk;
  }
  if (words[0] == "--version") {
    console.out << "hone " HONE_VERSION << std::endl;
    return ExitCode::kOk;
  }
  const bool help_word = words[0] == "help";
  const std::string& name = help_word ? words[1] : words[0];
  auto command = std::find_if(commands.begin(), commands.end(),
                              [&](const Command& candidate) { return candidate.name == name; });
  if (command == commands.end()) return Fail(UnknownCommand(name, commands), console);

  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (help_word || AsksForHelp(rest)) {
    console.out << CommandHelp(*command) << std::flush;
    return ExitCode::kOk;
  }
  if (Status parsed = Parse(*command, rest); !parsed.ok()) return Fail(parsed, console);
  try {
    StatusOr<ExitCode> code = command->run(console);
    console.out.flush();
    if (!code.ok()) return Fail(code.status(), console);
    // A full disk or a closed pipe behind stdout must not look like success.
    if (!console.out) {
      return Fail(absl::ResourceExhaustedError(
                      "could not write the output; is the disk full or the pipe closed?"),
                  console);
    }
    return *code;
  } catch (const std::bad_alloc&) {
    return Fail(absl::ResourceExhaustedError("out of memory; close programs or use a larger host"),
                console);
  } catch (const std::exception& error) {
    return Fail(absl::InternalError(absl::StrCat(error.what(), "; this is a bug of hone's")),
                console);
  }
}

}  // namespace hone
