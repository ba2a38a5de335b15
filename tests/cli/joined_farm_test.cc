// A farm between machines as the manual sets it up: certificates from init-tls, a token for each
// member, a board that joins with one command, a user who joins and tunes. All programs are what
// they are, on this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/local_programs.h"
#include "tests/support/terminal.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(60);

class JoinedFarmTest : public testing::Test, protected Terminal {
 protected:
  JoinedFarmTest() : tracker_(absl::StrCat("127.0.0.1:", FreePort())) {
    EXPECT_EQ(Shell("hone-tracker init-tls farm --farm lab --admin ada").exit_code, 0);
    Start("tracker", "hone-tracker",
          {"--listen", tracker_, "--join-port", absl::StrCat(FreePort()), "--tls-dir", Path("farm"),
           "--db", Path("farm.db"), "--quiet"});
    SetVariable("HONE_TRACKER", tracker_);
    ActAs("farm/admin");
    EXPECT_TRUE(Await("hone devices", "no device"));
  }

  // Lines from now on show the certificates of a folder.
  void ActAs(const std::string& folder) { SetVariable("HONE_TLS_DIR", Path(folder)); }

  // As an owner.
  std::string Token(const std::string& role, const std::string& name) {
    ActAs("farm/admin");
    const Outcome made = Shell(absl::StrCat("hone farm token --role ", role, " --name ", name));
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return made.out.substr(0, made.out.find('\n'));
  }

  // Whether a line comes to say something.
  bool Await(const std::string& line, const std::string& what) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      const Outcome outcome = Shell(line);
      if (absl::StrContains(outcome.out, what) || absl::StrContains(outcome.err, what)) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }

  const std::string tracker_;
};

TEST_F(JoinedFarmTest, ABoardJoinsWithOneCommandAndWorksForAUserWhoJoinedToo) {
  Start("board", "hone-agent",
        {"join", tracker_, Token("agent", "pi-3"), "--run", "--tls-dir", Path("board")});
  EXPECT_TRUE(Await("hone devices", " ready ")) << Read("board.log");
  EXPECT_THAT(Read("board.log"), HasSubstr("joined as agent/pi-3"));

  const std::string token = Token("tuner", "bob");
  ActAs("bob");
  const Outcome joined = Shell(absl::StrCat("hone join ", tracker_, " ", token));
  EXPECT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_EQ(Shell("hone zoo tiny").exit_code, 0);
  const Outcome tuned =
      Shell("hone tune tiny.onnx --kernel matmul --trials 2 --device pi-3 --tracker $HONE_TRACKER");
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.out, HasSubstr("matmul"));
  EXPECT_THAT(Shell("hone compile tiny.onnx -o tiny.so").out, HasSubstr("\n1 of "));

  const Outcome again = Shell(absl::StrCat("hone join ", tracker_, " ", token));
  EXPECT_NE(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("token"));
  const Outcome drain = Shell("hone farm drain pi-3 --why mine");
  EXPECT_NE(drain.exit_code, 0);
  EXPECT_THAT(drain.err, HasSubstr("tuner/bob"));
}

}  // namespace
}  // namespace hone
