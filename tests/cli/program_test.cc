// `hone` from outside: bad input gets one clear line, what to do about it, and an exit code from
// the manual.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/exit_code.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class ProgramTest : public testing::Test {
 protected:
  ProgramTest()
      : folder_(std::filesystem::temp_directory_path() /
                absl::StrCat("hone-program-test-", getpid(), "-", counter_++)) {
    std::filesystem::create_directories(folder_);
  }
  ~ProgramTest() override { std::filesystem::remove_all(folder_); }

  // Runs a shell line in the test's folder, in which `hone` is the program under test.
  Outcome Shell(const std::string& line) {
    const std::string command = absl::StrCat(
        "cd '", folder_.string(), "' && PATH='", std::getenv("HONE_BIN_DIR"),
        "':$PATH HONE_DB=records.db HONE_TRACKER= && export PATH HONE_DB HONE_TRACKER && { ", line,
        "; } >out.txt 2>err.txt");
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Read("out.txt"), Read("err.txt")};
  }

  // Expects exactly one line "hone: error: ..." that holds `what`, and nothing on stdout.
  void ExpectRefused(const std::string& line, ExitCode code, const std::string& what) {
    Outcome outcome = Shell(line);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << line << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("hone: error: ")) << line;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << line << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what)) << line;
    EXPECT_EQ(outcome.out, "") << line;
  }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(folder_ / name, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

 private:
  static inline int counter_ = 0;
  std::filesystem::path folder_;
};

TEST_F(ProgramTest, TeachesInItsHelp) {
  Outcome outcome = Shell("hone --help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  for (const Command& command : AllCommands()) {
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("\n  ", command.name, " ")));
  }
}

TEST_F(ProgramTest, EachCommandTeachesInItsHelp) {
  for (const Command& command : AllCommands()) {
    SCOPED_TRACE(command.name);
    Outcome outcome = Shell(absl::StrCat("hone ", command.name, " --help"));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Usage: hone "));
    EXPECT_THAT(outcome.out, HasSubstr("\nExample"));
    EXPECT_THAT(outcome.out, HasSubstr("\nNext: "));
    for (absl::string_view line : absl::StrSplit(outcome.out, '\n')) {
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
}

TEST_F(ProgramTest, RefusesWhatIsNoCommand) {
  ExpectRefused("hone polish", ExitCode::kBadInput, "no command 'polish'");
  ExpectRefused("hone records --depth 3", ExitCode::kBadInput, "--depth");
}

TEST_F(ProgramTest, WritesTheSameZooModelTwice) {
  Outcome outcome = Shell("hone zoo tiny && hone zoo tiny -o again.onnx");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Next: hone tune tiny.onnx"));
  EXPECT_EQ(Read("tiny.onnx"), Read("again.onnx"));
  EXPECT_GT(Read("tiny.onnx").size(), 80u * 1024);
}

TEST_F(ProgramTest, RefusesAModelThatIsNotInTheZoo) {
  ExpectRefused("hone zoo resnet19", ExitCode::kBadInput, "resnet18");
  ExpectRefused("hone zoo tiny -o /nowhere/x.onnx", ExitCode::kFile, "/nowhere/x.onnx");
  ExpectRefused("hone zoo tiny -o /dev/full", ExitCode::kFile, "/dev/full");
}

TEST_F(ProgramTest, RefusesWhatIsNoCompiledModel) {
  ExpectRefused("hone bench absent.so", ExitCode::kFile, "absent.so");
  Write("text.so", "hello");
  ExpectRefused("hone bench text.so", ExitCode::kFile, "text.so");
  ExpectRefused("hone check text.so --data .", ExitCode::kFile, "text.so");
}

TEST_F(ProgramTest, SaysThatThereIsNoDatabaseYet) {
  ExpectRefused("hone records", ExitCode::kFile, "hone tune MODEL.onnx makes it");
}

TEST_F(ProgramTest, RefusesWhatIsNoDatabase) {
  Write("records.db", std::string(8192, 'x'));
  ExpectRefused("hone records", ExitCode::kFile, "records.db");
  EXPECT_EQ(Read("records.db"), std::string(8192, 'x'));
}

TEST_F(ProgramTest, SaysThatNoTrackerAnswers) {
  ExpectRefused("hone devices --tracker unix:/nowhere/socket", ExitCode::kUnreachable,
                "unix:/nowhere/socket");
  ExpectRefused("hone devices", ExitCode::kBadInput, "--tracker ADDRESS");
}

TEST_F(ProgramTest, ListsTheDevicesOfATracker) {
  Outcome outcome = Shell(
      "hone-tracker --listen unix:$PWD/socket --db farm.db >tracker.txt 2>&1 & tracker=$!; "
      "for attempt in $(seq 100); do grep -q ready tracker.txt && break; sleep 0.05; done; "
      "hone devices --tracker unix:$PWD/socket; code=$?; "
      "hone doctor --tracker unix:$PWD/socket | grep '^warn  tracker '; "
      "kill $tracker; wait $tracker; exit $code");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err << Read("tracker.txt");
  EXPECT_THAT(outcome.out, HasSubstr("no devices."));
  EXPECT_THAT(outcome.out, HasSubstr("0 devices"));
}

TEST_F(ProgramTest, NoticesAFullDisk) {
  Outcome outcome = Shell("hone --help && hone doctor >/dev/full");
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kFile));
  EXPECT_THAT(outcome.err, HasSubstr("could not write the output"));
}

// What the help, the manual and the header say of exit codes is the same.
TEST(ManualTest, ListsEveryExitCode) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/docs/manual.md"));
  std::ostringstream manual;
  manual << in.rdbuf();
  for (ExitCode code : {ExitCode::kOk, ExitCode::kCheckFailed, ExitCode::kBadInput, ExitCode::kFile,
                        ExitCode::kUnreachable, ExitCode::kInternal, ExitCode::kInterrupted}) {
    EXPECT_THAT(manual.str(), HasSubstr(absl::StrCat("| ", static_cast<int>(code), " | ",
                                                     ExitCodeMeaning(code), " |")));
  }
}

TEST(ManualTest, NamesEveryCommand) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/docs/manual.md"));
  std::ostringstream manual;
  manual << in.rdbuf();
  for (const Command& command : AllCommands()) {
    EXPECT_THAT(manual.str(), HasSubstr(absl::StrCat("| `hone ", command.name)));
  }
}

}  // namespace
}  // namespace hone
