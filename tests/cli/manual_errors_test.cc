// The manual lists every kind of error that there is, each with its cause and a way out: exit
// codes, families of status, kinds of failure, states of devices, codes of the C library. And its
// table of the farm's requirements has a row for each.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "cli/exit_code.h"
#include "proto/device.pb.h"
#include "proto/measurement.pb.h"

namespace hone {
namespace {

std::string ReadSource(const std::string& path) {
  return ReadFile(absl::StrCat(getenv("HONE_SOURCE_DIR"), "/", path)).value();
}

// The part of the manual below a heading, up to the next of the same depth or less.
std::string Section(const std::string& heading) {
  const std::string manual = ReadSource("docs/manual.md");
  const size_t begin = manual.find(absl::StrCat("\n", heading, "\n"));
  EXPECT_NE(begin, std::string::npos) << heading;
  if (begin == std::string::npos) return "";
  const size_t depth = heading.find(' ');
  size_t end = begin + 1;
  do {
    end = manual.find("\n#", end + 1);
  } while (end != std::string::npos && manual.find(' ', end) - end - 1 > depth);
  return manual.substr(begin, end == std::string::npos ? end : end - begin);
}

// The cells of the row whose first cell names `word`, alone or between commas; none if there is no
// such row.
std::vector<std::string> RowOf(const std::string& section, const std::string& word) {
  for (absl::string_view line : absl::StrSplit(section, '\n')) {
    std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() < 4) continue;
    cells.erase(cells.begin());
    cells.pop_back();
    for (std::string& cell : cells) cell = std::string(absl::StripAsciiWhitespace(cell));
    const std::vector<std::string> words = absl::StrSplit(cells[0], ", ");
    if (std::find(words.begin(), words.end(), word) != words.end()) return cells;
  }
  return {};
}

void ExpectListed(const std::string& section, const std::string& word, bool is_trouble = true) {
  const std::vector<std::string> row = RowOf(section, word);
  ASSERT_GE(row.size(), 2u) << word << " is not in the manual's list";
  EXPECT_NE(row[1], "") << word << " has no cause";
  if (is_trouble && row.size() > 2) {
    EXPECT_NE(row.back(), "") << word << " has no way out";
  }
}

TEST(ManualErrorsTest, ListsEveryExitCodeWithItsMeaning) {
  const std::string section = Section("## Exit codes");
  for (const ExitCode code :
       {ExitCode::kOk, ExitCode::kCheckFailed, ExitCode::kBadInput, ExitCode::kFile,
        ExitCode::kUnreachable, ExitCode::kInternal, ExitCode::kInterrupted}) {
    const std::vector<std::string> row = RowOf(section, absl::StrCat(static_cast<int>(code)));
    ASSERT_EQ(row.size(), 2u) << static_cast<int>(code);
    EXPECT_NE(row[1], "");
  }
  // A code that is added must come here, too.
  const std::string source = ReadSource("cli/exit_code.cc");
  size_t codes = 0;
  for (size_t at = 0; (at = source.find("case ExitCode::k", at)) != std::string::npos; ++at)
    ++codes;
  EXPECT_EQ(codes, 7u) << "list the new exit code in the manual, and above";
}

TEST(ManualErrorsTest, ListsEveryFamilyOfErrorsWithItsExitCode) {
  const std::string section = Section("### Errors of calls, by family");
  for (int value = 1; value <= static_cast<int>(absl::StatusCode::kUnauthenticated); ++value) {
    const auto code = static_cast<absl::StatusCode>(value);
    const std::string name = absl::StatusCodeToString(code);
    ExpectListed(section, name);
    const std::vector<std::string> row = RowOf(section, name);
    if (row.size() < 2) continue;
    EXPECT_EQ(row[1], absl::StrCat(static_cast<int>(ExitCodeOf(absl::Status(code, ""))))) << name;
  }
}

TEST(ManualErrorsTest, ListsEveryKindOfFailureOfACandidate) {
  const std::string section = Section("### What becomes of a candidate");
  const google::protobuf::EnumDescriptor& kinds = *pb::FailureKind_descriptor();
  for (int i = 0; i < kinds.value_count(); ++i) {
    const std::string& kind = kinds.value(i)->name();
    ExpectListed(section, kind, /*is_trouble=*/kind != "OK" && kind != "CANCELLED");
  }
}

TEST(ManualErrorsTest, ListsEveryStateOfADevice) {
  const std::string section = Section("### What becomes of a device");
  const google::protobuf::EnumDescriptor& states = *pb::DeviceState_descriptor();
  for (int i = 0; i < states.value_count(); ++i) {
    const std::string& state = states.value(i)->name();
    if (states.value(i)->number() == 0) continue;
    ExpectListed(section, state, /*is_trouble=*/state != "READY" && state != "BUSY");
  }
}

TEST(ManualErrorsTest, ListsEveryErrorOfTheCLibrary) {
  const std::string section = Section("### Errors of the C library");
  int codes = 0;
  for (absl::string_view line : absl::StrSplit(ReadSource("runtime/error.h"), '\n')) {
    const size_t begin = line.find("HONE_ERROR_");
    if (begin == absl::string_view::npos || !absl::StrContains(line, " = ")) continue;
    ++codes;
    ExpectListed(section, std::string(line.substr(begin, line.find(' ', begin) - begin)));
  }
  EXPECT_GE(codes, 6);
}

// R-01 to R-76, some numbers of which were never given.
TEST(ManualErrorsTest, SaysOfEveryRequirementOfTheFarmOnceHowItStands) {
  std::vector<std::string> rows;
  for (absl::string_view line : absl::StrSplit(Section("## The farm's requirements"), '\n')) {
    if (absl::StartsWith(line, "| R-")) rows.emplace_back(line.substr(2, 4));
  }
  EXPECT_GE(rows.size(), 60u);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(std::adjacent_find(rows.begin(), rows.end()), rows.end());
}

}  // namespace
}  // namespace hone
