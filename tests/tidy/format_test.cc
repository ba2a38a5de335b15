// Every source file is as clang-format writes it. `make format` makes it so.

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/tidy/source_tree.h"

namespace hone {
namespace {

constexpr const char* kFormatter = "/usr/bin/clang-format-19";

TEST(FormatTest, SourcesAreAsClangFormatWritesThem) {
  if (!std::filesystem::exists(kFormatter)) GTEST_SKIP() << "no " << kFormatter;
  std::string command = "cd '" + SourceDir() + "' && " + kFormatter + " --dry-run";
  for (const SourceFile& file : ReadSourceTree()) command += " " + file.path;
  command += " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string complaints;
  char buffer[4096];
  while (size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) {
    if (complaints.size() < 4000) complaints.append(buffer, count);
  }
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_EQ(complaints, "") << "run make format";
}

}  // namespace
}  // namespace hone
