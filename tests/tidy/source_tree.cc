#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "absl/strings/match.h"
#include "base/check.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// The folders that hold sources; everything else at the top is not ours to judge.
constexpr const char* kTopFolders[] = {"base",    "bench",        "cli",     "compiler",
                                       "db",      "device_agent", "proto",   "rpc",
                                       "runtime", "tests",        "tracker", "tuner"};

}  // namespace

bool SourceFile::IsHeader() const { return absl::EndsWith(name, ".h"); }

bool SourceFile::IsTest() const {
  return absl::StartsWith(path, "tests/") || absl::StartsWith(path, "bench/");
}

std::vector<std::string> SourceFile::Includes() const {
  static const std::regex* const kInclude =
      new std::regex("(?:^|\n)[ \t]*#[ \t]*include[ \t]*[\"<]([^\">\n]+)[\">]");
  std::vector<std::string> includes;
  for (std::sregex_iterator match(text.begin(), text.end(), *kInclude), end; match != end;
       ++match) {
    includes.push_back((*match)[1]);
  }
  return includes;
}

std::vector<SourceFile> ReadSourceTree() {
  std::vector<SourceFile> files;
  const fs::path top = SourceDir();
  for (const char* folder : kTopFolders) {
    if (!fs::exists(top / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(top / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc" && extension != ".c") continue;
      const fs::path path = entry.path().lexically_relative(top);
      files.push_back({.path = path.generic_string(),
                       .folder = path.parent_path().generic_string(),
                       .name = path.filename().string(),
                       .text = ReadTextFile(entry.path().string())});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& left, const SourceFile& right) { return left.path < right.path; });
  return files;
}

std::string SourceDir() {
  const char* dir = std::getenv("HONE_SOURCE_DIR");
  HONE_CHECK(dir != nullptr) << "run this test through ctest, or set HONE_SOURCE_DIR";
  return dir;
}

std::string ReadTextFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace hone
