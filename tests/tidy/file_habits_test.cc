// Habits of files that a machine can check: names, opening comments, guards, build lists.

#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/tidy/source_tree.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

TEST(FileHabitsTest, NamesSayWhatAFileIs) {
  static const std::set<std::string> kEmptyWords = {"util",   "utils", "helper",  "helpers", "misc",
                                                    "common", "impl",  "manager", "v2"};
  for (const SourceFile& file : ReadSourceTree()) {
    const std::string stem = file.name.substr(0, file.name.rfind('.'));
    EXPECT_TRUE(std::regex_match(stem, std::regex("[a-z0-9_]+"))) << file.path;
    for (const std::string& word : std::vector<std::string>(absl::StrSplit(stem, '_'))) {
      EXPECT_FALSE(kEmptyWords.contains(word))
          << file.path << ": '" << word << "' says nothing; name the concept";
    }
  }
}

TEST(FileHabitsTest, HeadersOpenWithWhatTheyAre) {
  for (const SourceFile& file : ReadSourceTree()) {
    if (!file.IsHeader()) continue;
    EXPECT_TRUE(absl::StartsWith(file.text, "// ") || absl::StartsWith(file.text, "/* "))
        << file.path << ": begin with two or three sentences on what it is and who uses it";
    EXPECT_TRUE(absl::StrContains(file.text, "#pragma once") ||
                absl::StrContains(file.text, "#ifndef HONE_"))
        << file.path << ": has no include guard";
  }
}

TEST(FileHabitsTest, NothingIsLeftToDo) {
  const std::string mark = absl::StrCat("TO", "DO");
  for (const SourceFile& file : ReadSourceTree()) {
    EXPECT_FALSE(absl::StrContains(file.text, mark))
        << file.path << ": do it, or leave it out and say so";
  }
}

// The nearest CMakeLists.txt at or above a folder, as a path from the top.
std::string NearestList(const std::string& folder) {
  fs::path current = folder;
  while (!current.empty()) {
    if (fs::exists(fs::path(SourceDir()) / current / "CMakeLists.txt")) return current.string();
    current = current.parent_path();
  }
  return "";
}

std::set<std::string> WordsOfList(const std::string& folder) {
  const std::string list = ReadTextFile(absl::StrCat(SourceDir(), "/", folder, "/CMakeLists.txt"));
  return absl::StrSplit(list, absl::ByAnyChar(" \n()\t"));
}

// The file names, without folders and extensions, that the lists below tests/ and bench/ speak of:
// tests share sources between folders, and loop over names.
std::set<std::string> StemsInTestLists() {
  std::set<std::string> stems;
  for (const char* top : {"tests", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(SourceDir()) / top)) {
      if (entry.path().filename() != "CMakeLists.txt") continue;
      const std::string folder = entry.path().parent_path().lexically_relative(SourceDir());
      for (const std::string& word : WordsOfList(folder)) stems.insert(fs::path(word).stem());
    }
  }
  return stems;
}

TEST(FileHabitsTest, EverySourceIsListedInItsBuildFile) {
  const std::set<std::string> test_stems = StemsInTestLists();
  for (const SourceFile& file : ReadSourceTree()) {
    if (file.IsHeader()) continue;
    const std::string folder = NearestList(file.folder);
    ASSERT_NE(folder, "") << file.path << ": no CMakeLists.txt";
    const std::string relative = fs::path(file.path).lexically_relative(folder).string();
    const bool listed = file.IsTest() ? test_stems.contains(fs::path(file.path).stem())
                                      : WordsOfList(folder).contains(relative);
    EXPECT_TRUE(listed) << file.path << " is not in " << folder << "/CMakeLists.txt";
  }
}

}  // namespace
}  // namespace hone
