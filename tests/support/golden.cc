#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hone {
namespace {

bool Updating() {
  const char* value = std::getenv("HONE_UPDATE_GOLDEN");
  return value != nullptr && std::string(value) == "1";
}

GoldenFile Read(const std::filesystem::path& path) {
  GoldenFile golden;
  golden.path = path;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("--- ", 0) == 0) {
      golden.sections.push_back({line.substr(4), ""});
    } else if (golden.sections.empty()) {
      golden.comment += line + "\n";
    } else {
      golden.sections.back().text += line + "\n";
    }
  }
  return golden;
}

}  // namespace

std::string GoldenFile::Text(const std::string& title) const {
  for (const Section& section : sections) {
    if (section.title == title) return section.text;
  }
  return "";
}

std::vector<GoldenFile> GoldenFiles(const std::string& folder) {
  const char* source = std::getenv("HONE_SOURCE_DIR");
  const std::filesystem::path root(source == nullptr ? "." : source);
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/golden" / folder)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  EXPECT_FALSE(paths.empty()) << "no golden files in " << folder;
  std::vector<GoldenFile> files;
  for (const auto& path : paths) files.push_back(Read(path));
  return files;
}

void ExpectGolden(GoldenFile& file, size_t index, const std::string& actual) {
  GoldenFile::Section& section = file.sections[index];
  if (Updating()) {
    section.text = actual;
  } else {
    EXPECT_EQ(section.text, actual)
        << file.path << ", section '" << section.title
        << "'; if it is meant to change, run the test with HONE_UPDATE_GOLDEN=1 and read the diff";
  }
}

void FinishGolden(const GoldenFile& file) {
  if (!Updating()) return;
  std::ofstream out(file.path);
  out << file.comment;
  for (const GoldenFile::Section& section : file.sections) {
    out << "--- " << section.title << "\n" << section.text;
  }
}

}  // namespace hone
