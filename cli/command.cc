#include "cli/command.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr size_t kWidth = 80;

// Appends `text` word by word, each line indented, broken before kWidth.
void AppendWrapped(absl::string_view text, size_t indent, std::string* out) {
  size_t column = 0;
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (column != 0 && column + 1 + word.size() > kWidth) {
      out->push_back('\n');
      column = 0;
    }
    if (column == 0) {
      out->append(indent, ' ');
      column = indent;
    } else {
      out->push_back(' ');
      ++column;
    }
    out->append(word.data(), word.size());
    column += word.size();
  }
  out->push_back('\n');
}

// "  left  right", the right part wrapped in its own column.
void AppendTwoColumns(const std::string& left, absl::string_view right, size_t right_column,
                      std::string* out) {
  std::string wrapped;
  AppendWrapped(right, right_column, &wrapped);
  std::string begin = absl::StrCat("  ", left);
  if (begin.size() + 2 > right_column) {
    absl::StrAppend(out, begin, "\n", wrapped);
    return;
  }
  begin.resize(right_column, ' ');
  absl::StrAppend(out, begin, wrapped.substr(right_column));
}

bool IsPositional(const Option& option) { return option.name[0] != '-'; }

// " (default 8)", or "" for flags, lists and empty text.
std::string DefaultText(const Option& option) {
  if (option.required) return "";
  if (auto* value = std::get_if<int64_t*>(&option.value)) {
    return absl::StrFormat(" (default %d)", **value);
  }
  if (auto* value = std::get_if<double*>(&option.value)) {
    return absl::StrFormat(" (default %g)", **value);
  }
  if (auto* value = std::get_if<std::string*>(&option.value); value && !(*value)->empty()) {
    return absl::StrCat(" (default ", **value, ")");
  }
  if (std::holds_alternative<std::vector<std::string>*>(option.value)) return " (repeatable)";
  return "";
}

std::string LeftColumn(const Option& option) {
  std::string left = absl::StrReplaceAll(option.name, {{",", ", "}});
  if (!option.placeholder.empty()) absl::StrAppend(&left, " ", option.placeholder);
  return left;
}

std::string Usage(const Command& command) {
  std::string usage = absl::StrCat("hone ", command.name);
  bool has_optional = false;
  for (const Option& option : command.options) {
    if (IsPositional(option)) {
      absl::StrAppend(&usage, option.required ? " " : " [", option.name,
                      option.required ? "" : "]");
    } else if (option.required) {
      size_t comma = option.name.find(',');
      absl::StrAppend(&usage, " ", option.name.substr(0, comma), " ", option.placeholder);
    } else {
      has_optional = true;
    }
  }
  if (has_optional) absl::StrAppend(&usage, " [options]");
  return usage;
}

absl::string_view GroupTitle(CommandGroup group) {
  switch (group) {
    case CommandGroup::kTune:
      return "From a model to a fast model:";
    case CommandGroup::kRun:
      return "With a compiled model:";
    case CommandGroup::kFarm:
      return "What was learned, and on what:";
  }
  return "";
}

}  // namespace

std::string CommandHelp(const Command& command) {
  std::string help = absl::StrCat("hone ", command.name, ": ", command.summary,
                                  "\n\nUsage: ", Usage(command), "\n\n");
  for (absl::string_view paragraph : absl::StrSplit(command.description, "\n\n")) {
    AppendWrapped(paragraph, 0, &help);
    help.push_back('\n');
  }
  size_t right_column = 6;
  for (const Option& option : command.options) {
    right_column = std::max(right_column, std::min<size_t>(LeftColumn(option).size() + 4, 30));
  }
  right_column = std::max<size_t>(right_column, 14);
  help += "Options:\n";
  for (const Option& option : command.options) {
    AppendTwoColumns(LeftColumn(option), absl::StrCat(option.help, DefaultText(option)),
                     right_column, &help);
  }
  AppendTwoColumns("-h, --help", "print this and exit", right_column, &help);
  if (!command.examples.empty()) {
    help += command.examples.size() == 1 ? "\nExample:\n" : "\nExamples:\n";
    for (const std::string& example : command.examples) absl::StrAppend(&help, "  ", example, "\n");
  }
  if (!command.next.empty()) {
    help += "\nNext: ";
    std::string wrapped;
    AppendWrapped(command.next, 6, &wrapped);
    help += wrapped.substr(6);
  }
  return help;
}

std::string ProgramHelp(const std::vector<Command>& commands) {
  std::string help;
  AppendWrapped(
      "hone finds the fastest way to run a neural network on the hardware you own: it tries many "
      "ways to compute each part of a model on the real device, remembers the best, and compiles "
      "the model with them.",
      0, &help);
  help += "\nUsage: hone COMMAND [options]\n";
  for (CommandGroup group : {CommandGroup::kTune, CommandGroup::kRun, CommandGroup::kFarm}) {
    bool titled = false;
    for (const Command& command : commands) {
      if (command.group != group) continue;
      if (!titled) absl::StrAppend(&help, "\n", GroupTitle(group), "\n");
      titled = true;
      AppendTwoColumns(command.name, command.summary, 12, &help);
    }
  }
  help +=
      "\nA first session:\n"
      "  hone zoo resnet18 -o resnet18.onnx\n"
      "  hone tune resnet18.onnx --minutes 5\n"
      "  hone compile resnet18.onnx -o resnet18.so\n"
      "  hone bench resnet18.so\n"
      "\nhone COMMAND --help explains a command; docs/manual.md has everything.\n"
      "Exit codes: 0 well, 1 numbers differ, 2 bad input, 3 file or database,\n"
      "4 tracker or device, 5 a bug of hone's, 130 interrupted.\n";
  return help;
}

}  // namespace hone
