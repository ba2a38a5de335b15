#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>

namespace hone {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct GreetOptions {
  std::string name;
  int64_t times = 1;
  double pitch = 0.5;
  bool loud = false;
  std::vector<std::string> shapes;
};

// Runs one command line against a command that stores its options and then ends with `outcome`.
class CommandLineTest : public testing::Test {
 protected:
  ExitCode Run(const std::vector<std::string>& words) {
    Command greet{
        .name = "greet",
        .summary = "greet someone",
        .description = "Greets.\n\nTwice if asked.",
        .options = {{"NAME", "", "whom", &options_.name, true},
                    {"-n,--times", "N", "how often", &options_.times, false, 1},
                    {"--pitch", "P", "how high", &options_.pitch},
                    {"--loud", "", "shout", &options_.loud},
                    {"--shape", "NAME=VALUE", "of a dimension", &options_.shapes}},
        .examples = {"hone greet you"},
        .next = "hone wave",
        .run = [this](const Console&) { return outcome_; },
    };
    return RunCommandLine(words, {greet}, {.out = out_, .err = err_});
  }

  GreetOptions options_;
  StatusOr<ExitCode> outcome_ = ExitCode::kOk;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, FillsInTheOptions) {
  EXPECT_EQ(Run({"greet", "--shape", "n=1", "you", "-n", "3", "--loud", "--shape", "h=2"}),
            ExitCode::kOk)
      << err_.str();
  EXPECT_EQ(options_.name, "you");
  EXPECT_EQ(options_.times, 3);
  EXPECT_TRUE(options_.loud);
  EXPECT_THAT(options_.shapes, testing::ElementsAre("n=1", "h=2"));
}

TEST_F(CommandLineTest, TeachesInTheHelp) {
  EXPECT_EQ(Run({"greet", "--help"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(),
            "hone greet: greet someone\n"
            "\n"
            "Usage: hone greet NAME [options]\n"
            "\n"
            "Greets.\n"
            "\n"
            "Twice if asked.\n"
            "\n"
            "Options:\n"
            "  NAME                whom\n"
            "  -n, --times N       how often (default 1)\n"
            "  --pitch P           how high (default 0.5)\n"
            "  --loud              shout\n"
            "  --shape NAME=VALUE  of a dimension (repeatable)\n"
            "  -h, --help          print this and exit\n"
            "\n"
            "Example:\n"
            "  hone greet you\n"
            "\n"
            "Next: hone wave\n");
}

TEST_F(CommandLineTest, RefusesWrongUsageInOneLine) {
  EXPECT_EQ(Run({"greet"}), ExitCode::kBadInput);
  EXPECT_EQ(err_.str(), "hone: error: NAME is required; see hone greet --help\n");
}

TEST_F(CommandLineTest, NamesTheOptionWhoseNumberIsTooSmall) {
  EXPECT_EQ(Run({"greet", "you", "--times", "0"}), ExitCode::kBadInput);
  EXPECT_EQ(err_.str(),
            "hone: error: --times: 0 is below the least allowed, 1; see hone greet --help\n");
}

TEST_F(CommandLineTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Run({"greet", "you", "--softly"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("--softly"));
  EXPECT_EQ(Run({"great", "you"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no command 'great'; did you mean greet?"));
}

TEST_F(CommandLineTest, PrintsAnErrorOnOneLineWithItsExitCode) {
  outcome_ = absl::UnavailableError("no tracker at x:1;\nstart hone-tracker\n");
  EXPECT_EQ(Run({"greet", "you"}), ExitCode::kUnreachable);
  EXPECT_EQ(err_.str(), "hone: error: no tracker at x:1;; start hone-tracker\n");
}

TEST_F(CommandLineTest, EndsWithTheCommandsAnswer) {
  outcome_ = ExitCode::kCheckFailed;
  EXPECT_EQ(Run({"greet", "you"}), ExitCode::kCheckFailed);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandLineTest, ShowsAllCommandsWhenGivenNone) {
  EXPECT_EQ(Run({}), ExitCode::kBadInput);
  EXPECT_THAT(out_.str(), StartsWith("hone finds the fastest way"));
  EXPECT_THAT(out_.str(), HasSubstr("\n  greet     greet someone\n"));
}

TEST(ExitCodeTest, EveryErrorOfAFileIsTheSame) {
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), ExitCode::kFile);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), ExitCode::kFile);
  EXPECT_EQ(ExitCodeOf(absl::UnimplementedError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), ExitCode::kInternal);
}

}  // namespace
}  // namespace hone
