// hone as a CMake package: what was built is installed, a small project finds it there, compiles a
// model with hone_add_model(), links it and runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/deploy/run_command.h"
#include "tests/support/tls_folders.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

class CMakePackageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Ran installed = RunCommand(absl::StrCat(getenv("HONE_CMAKE"), " --install ",
                                                  getenv("HONE_BUILD_DIR"), " --prefix ", prefix_));
    ASSERT_EQ(installed.exit_code, 0) << installed.output;
  }
  Ran Configure(const std::string& source) {
    return RunCommand(absl::StrCat(getenv("HONE_CMAKE"), " -G Ninja -S ", source, " -B ", build_,
                                   " -DCMAKE_PREFIX_PATH=", prefix_));
  }
  Ran Build() { return RunCommand(absl::StrCat(getenv("HONE_CMAKE"), " --build ", build_)); }
  // A project of these lines, beside a model of the zoo.
  std::string Project(const std::string& lines) {
    const std::string source = scratch_ / "source";
    std::filesystem::create_directory(source);
    RunCommand(absl::StrCat(prefix_, "/bin/hone zoo tiny -o ", source, "/tiny.onnx"));
    EXPECT_TRUE(WriteFile(absl::StrCat(source, "/CMakeLists.txt"),
                          absl::StrCat("cmake_minimum_required(VERSION 3.25)\n"
                                       "project(test LANGUAGES C)\n"
                                       "find_package(hone 0.1 REQUIRED)\n",
                                       lines))
                    .ok());
    return source;
  }

  const ScratchFolder scratch_;
  const std::string prefix_ = scratch_ / "hone";
  const std::string build_ = scratch_ / "build";
};

TEST_F(CMakePackageTest, TheExampleCompilesLinksAndRunsItsModel) {
  const Ran configured = Configure(absl::StrCat(getenv("HONE_SOURCE_DIR"), "/deploy/example"));
  ASSERT_EQ(configured.exit_code, 0) << configured.output;
  const Ran built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.output;
  const Ran ran = RunCommand(absl::StrCat(build_, "/app"));
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("10 numbers"));
  const Ran again = Build();
  EXPECT_THAT(again.output, HasSubstr("no work to do")) << "nothing changed";
}

TEST_F(CMakePackageTest, AFarmThatDoesNotAnswerStopsNoBuild) {
  const Ran configured =
      Configure(Project("hone_add_model(tiny tiny.onnx TRACKER 127.0.0.1:1)\n"
                        "add_custom_target(model ALL DEPENDS tiny_model)\n"));
  ASSERT_EQ(configured.exit_code, 0) << configured.output;
  const Ran built = Build();
  EXPECT_EQ(built.exit_code, 0) << built.output;
  EXPECT_THAT(built.output, HasSubstr("127.0.0.1:1 does not answer"));
}

TEST_F(CMakePackageTest, WhatHoneRefusesStopsTheBuildAndSaysWhy) {
  const Ran configured =
      Configure(Project("hone_add_model(tiny CMakeLists.txt)\n"
                        "add_custom_target(model ALL DEPENDS tiny_model)\n"));
  ASSERT_EQ(configured.exit_code, 0) << configured.output;
  const Ran built = Build();
  EXPECT_NE(built.exit_code, 0);
  EXPECT_THAT(built.output, HasSubstr("ended with 2"));
  EXPECT_THAT(built.output, HasSubstr("ONNX"));
}

TEST_F(CMakePackageTest, WrongUseIsSaidWhenTheProjectIsConfigured) {
  const Ran configured = Configure(Project("hone_add_model(tiny tiny.onnx TUNE_MINUTES 1)\n"));
  EXPECT_NE(configured.exit_code, 0);
  EXPECT_THAT(configured.output, HasSubstr("TUNE_MINUTES needs RECORDS"));
}

}  // namespace
}  // namespace hone
