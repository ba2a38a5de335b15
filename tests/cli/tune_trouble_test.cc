// `hone tune` when something comes between: a person who presses Ctrl-C, a disk that fills up. What
// was measured is kept, and the same command goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/exit_code.h"
#include "db/sqlite_record_store.h"

namespace hone {
namespace {

using testing::HasSubstr;

class TuneTroubleTest : public testing::Test {
 protected:
  TuneTroubleTest()
      : folder_(std::filesystem::temp_directory_path() /
                absl::StrCat("hone-tune-trouble-", getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~TuneTroubleTest() override { std::filesystem::remove_all(folder_); }

  int Shell(const std::string& line) {
    const std::string command = absl::StrCat(
        "cd '", folder_.string(), "' && PATH='", std::getenv("HONE_BIN_DIR"),
        "':$PATH HONE_TRACKER= && export PATH HONE_TRACKER && { ", line, "; } >out.txt 2>err.txt");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(folder_ / name, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  int64_t Records(const std::string& database) {
    const auto store = SqliteRecordStore::Open({.path = folder_ / database});
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return 0;
    const auto summaries = (*store)->Summarize();
    EXPECT_TRUE(summaries.ok()) << summaries.status();
    int64_t records = 0;
    if (summaries.ok()) {
      for (const RecordSummary& summary : *summaries) records += summary.records;
    }
    return records;
  }

  std::filesystem::path folder_;
};

TEST_F(TuneTroubleTest, KeepsWhatWasMeasuredAtCtrlCAndGoesOn) {
  const std::string tune =
      "hone tune tiny.onnx --kernel conv3x3_3to16 --trials 150 --db r.db --report r.html";
  // Asks to stop as soon as something is in the database.
  const int code = Shell("hone zoo tiny && { " + tune +
                         " & tune=$!; for attempt in $(seq 300); do sleep 0.1; "
                         "hone records --db r.db 2>/dev/null | grep -q GFLOP && break; done; "
                         "kill -INT $tune; wait $tune; }");
  EXPECT_EQ(code, static_cast<int>(ExitCode::kInterrupted)) << Read("err.txt");
  EXPECT_THAT(Read("out.txt"), HasSubstr("all that was measured is kept"));
  EXPECT_THAT(Read("r.html"), HasSubstr("Stopped before the end"));
  const int64_t before = Records("r.db");
  EXPECT_GT(before, 0);
  EXPECT_LT(before, 150);

  EXPECT_EQ(Shell(tune), 0) << Read("err.txt");
  EXPECT_THAT(Read("r.html"), HasSubstr("known from before"));
  const int64_t after = Records("r.db");
  EXPECT_GT(after, before);
  // Those of before count; duels come on top.
  EXPECT_LT(after, 150 + before);
}

TEST_F(TuneTroubleTest, MeasuresNothingTwice) {
  const std::string tune = "hone tune tiny.onnx --kernel matmul --trials 8 --db r.db";
  ASSERT_EQ(Shell("hone zoo tiny && " + tune), 0) << Read("err.txt");
  const int64_t before = Records("r.db");
  ASSERT_EQ(Shell(tune), 0) << Read("err.txt");
  // At most the last duel is fought again.
  EXPECT_LE(Records("r.db"), before + 8);
}

TEST_F(TuneTroubleTest, SaysThatTheDiskIsFullAndKeepsWhatIsStored) {
  if (Shell("unshare -rm true") != 0) GTEST_SKIP() << "no mount namespaces here";
  std::filesystem::create_directory(folder_ / "disk");
  const std::string tune = "hone tune tiny.onnx --db disk/r.db ";
  const int code = Shell(
      "hone zoo tiny && unshare -rm sh -c '"
      "mount -t tmpfs -o size=300k tmpfs disk && " +
      tune + "--trials 100 2>full.txt; echo $?; " + "mount -o remount,size=8m disk && " + tune +
      "--trials 1 && cp disk/r.db* .'");
  EXPECT_EQ(code, 0) << Read("err.txt");
  EXPECT_THAT(Read("out.txt"), HasSubstr("\n3\n"));
  EXPECT_THAT(Read("full.txt"), HasSubstr("hone: error: "));
  EXPECT_THAT(Read("full.txt"), HasSubstr("full; free some space"));
  EXPECT_GT(Records("r.db"), 0);
}

}  // namespace
}  // namespace hone
