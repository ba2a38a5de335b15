#include "base/file.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

TEST(File, ReadsBackWhatItWrote) {
  const std::string path = testing::TempDir() + "/hone_file_test";
  const std::string bytes = std::string(100000, 'a') + '\0' + "b";
  ASSERT_TRUE(WriteFile(path, "before").ok());
  ASSERT_TRUE(WriteFile(path, bytes).ok());
  StatusOr<std::string> read = ReadFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, bytes);
  std::filesystem::remove(path);
}

TEST(File, NamesTheFileInErrors) {
  const Status absent = ReadFile("/nonexistent/file").status();
  EXPECT_EQ(absent.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(absent.message()), HasSubstr("/nonexistent/file"));
  EXPECT_EQ(WriteFile("/nonexistent/file", "x").code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadFile(testing::TempDir()).status().message()), HasSubstr("a folder"));
}

}  // namespace
}  // namespace hone
