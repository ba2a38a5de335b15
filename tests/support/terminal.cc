#include "tests/support/terminal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace hone {
namespace {

std::string BinDir() {
  const char* folder = std::getenv("HONE_BIN_DIR");
  return folder == nullptr ? "" : folder;
}

}  // namespace

Terminal::Terminal(const std::map<std::string, std::string>& environment) {
  SetVariable("HONE_DB", "records.db");
  SetVariable("HONE_TRACKER", "");
  for (const auto& [name, value] : environment) SetVariable(name, value);
}

void Terminal::SetVariable(const std::string& name, const std::string& value) {
  absl::StrAppend(&variables_, "export ", name, "='", value, "' && ");
}

Outcome Terminal::Shell(const std::string& line) {
  const std::string command =
      absl::StrCat("cd '", Path(""), "' && export PATH='", BinDir(), "':$PATH && ", variables_,
                   "{ ", line, "; } >out.txt 2>err.txt");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Read("out.txt"), Read("err.txt")};
}

void Terminal::Start(const std::string& name, const std::string& program,
                     std::vector<std::string> arguments) {
  const std::string log = Path(absl::StrCat(name, ".log"));
  std::FILE* output = std::fopen(log.c_str(), "a");
  ASSERT_NE(output, nullptr) << log;
  StatusOr<ChildProcess> process =
      ChildProcess::Start({.program = absl::StrCat(BinDir(), "/", program),
                           .arguments = std::move(arguments),
                           .socket = false,
                           .output_fd = fileno(output),
                           .own_group = true});
  std::fclose(output);
  ASSERT_TRUE(process.ok()) << process.status();
  programs_.insert_or_assign(name, *std::move(process));
}

void Terminal::Kill(const std::string& name) {
  programs_.at(name).Signal(SIGKILL);
  programs_.at(name).Wait();
}

std::string Terminal::Read(const std::string& name) const {
  return ReadFile(Path(name)).value_or("");
}

void Terminal::Write(const std::string& name, absl::string_view bytes) const {
  std::ofstream(Path(name), std::ios::binary) << bytes;
}

bool Terminal::Exists(const std::string& name) const { return std::filesystem::exists(Path(name)); }

}  // namespace hone
