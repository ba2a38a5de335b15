// `hone tune` when something comes between: a person who presses Ctrl-C, a disk that fills up. What
// was measured is kept, and the same command goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "db/sqlite_record_store.h"
#include "tests/support/terminal.h"
#include "tuner/tuning_session.h"
#include "tuner/work.h"

namespace hone {
namespace {

using testing::HasSubstr;

class TuneTroubleTest : public testing::Test, protected Terminal {
 protected:
  int Shell(const std::string& line) { return Terminal::Shell(line).exit_code; }
  std::vector<pb::Record> Records(const std::string& database) {
    const auto store = SqliteRecordStore::Open({.path = Path(database)});
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return {};
    const auto records = (*store)->Query({});
    EXPECT_TRUE(records.ok()) << records.status();
    return records.ok() ? *records : std::vector<pb::Record>();
  }
};

// The schedules of the trials that count, in their order: duels measure again what trials found,
// and what the moment spoiled counts the fifth time.
std::vector<std::string> Trials(const std::vector<pb::Record>& records) {
  std::vector<std::string> trials;
  std::map<std::string, int> spoiled;
  for (const pb::Record& record : records) {
    if (record.origin() == kDuelOrigin) continue;
    if (MayBeTheMoments(record.measurement()) && ++spoiled[record.schedule()] < 5) continue;
    trials.push_back(record.schedule());
  }
  return trials;
}

TEST_F(TuneTroubleTest, KeepsWhatWasMeasuredAtCtrlCAndGoesOn) {
  // A kernel that does not come near the machine's limit, which would end its search.
  const std::string tune =
      "hone tune tiny.onnx --kernel conv3x3_32to32 --trials 150 --db r.db --report r.html";
  // Asks to stop as soon as something is in the database.
  const int code = Shell("hone zoo tiny && { " + tune +
                         " & tune=$!; for attempt in $(seq 300); do sleep 0.1; "
                         "hone records --db r.db 2>/dev/null | grep -q GFLOP && break; done; "
                         "kill -INT $tune; wait $tune; }");
  EXPECT_EQ(code, static_cast<int>(ExitCode::kInterrupted)) << Read("err.txt");
  EXPECT_THAT(Read("out.txt"), HasSubstr("all that was measured is kept"));
  EXPECT_THAT(Read("r.html"), HasSubstr("Stopped before the end"));
  const size_t before = Trials(Records("r.db")).size();
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, 150u);

  EXPECT_EQ(Shell(tune), 0) << Read("err.txt");
  EXPECT_THAT(Read("r.html"), HasSubstr("known from before"));
  const size_t after = Trials(Records("r.db")).size();
  EXPECT_GT(after, before);
  EXPECT_LE(after, 150u) << "those of before count";
}

TEST_F(TuneTroubleTest, ProposesNothingTwiceAfterItWasKilled) {
  const std::string tune = "hone tune tiny.onnx --kernel conv3x3_32to32 --trials 60 --db r.db";
  Shell("hone zoo tiny && { " + tune +
        " & tune=$!; for attempt in $(seq 300); do sleep 0.1; "
        "hone records --db r.db 2>/dev/null | grep -q GFLOP && break; done; "
        "kill -KILL $tune; wait $tune; }");
  const size_t before = Records("r.db").size();
  EXPECT_GT(before, 0u);

  // Its tracker may hold the database for a moment yet.
  EXPECT_EQ(Shell("for attempt in $(seq 100); do " + tune + " && exit 0; sleep 0.1; done; exit 1"),
            0)
      << Read("err.txt");
  const std::vector<pb::Record> records = Records("r.db");
  EXPECT_GT(records.size(), before);
  std::set<std::string> runs;
  for (const pb::Record& record : records) runs.insert(record.run_id());
  std::set<std::string> tried;
  for (const std::string& schedule : Trials(records)) {
    EXPECT_TRUE(tried.insert(schedule).second) << "tried twice: " << schedule;
  }
  EXPECT_EQ(runs.size(), 2u);
  EXPECT_LE(tried.size(), 60u);

  // It knows all that the first run measured: it repeats its own proposals from that.
  EXPECT_EQ(Shell(tune + " --replay"), 0) << Read("out.txt") << Read("err.txt");
}

TEST_F(TuneTroubleTest, SaysThatThereIsNoRunToReplay) {
  EXPECT_EQ(Shell("hone zoo tiny && hone tune tiny.onnx --replay --db none.db"),
            static_cast<int>(ExitCode::kFile));
  EXPECT_THAT(Read("err.txt"), HasSubstr("none.db: no such database"));
  EXPECT_EQ(Shell("hone tune tiny.onnx --kernel matmul --trials 1 --db r.db && "
                  "hone tune tiny.onnx --replay --db r.db --seed 77"),
            static_cast<int>(ExitCode::kFile));
  EXPECT_THAT(Read("err.txt"), HasSubstr("no run of these kernels with seed 77"));
}

TEST_F(TuneTroubleTest, MeasuresNothingTwice) {
  const std::string tune = "hone tune tiny.onnx --kernel matmul --trials 8 --db r.db";
  ASSERT_EQ(Shell("hone zoo tiny && " + tune), 0) << Read("err.txt");
  const std::vector<std::string> before = Trials(Records("r.db"));
  ASSERT_EQ(Shell(tune), 0) << Read("err.txt");
  EXPECT_EQ(Trials(Records("r.db")), before);
}

TEST_F(TuneTroubleTest, SaysThatTheDiskIsFullAndKeepsWhatIsStored) {
  if (Shell("unshare -rm true") != 0) GTEST_SKIP() << "no mount namespaces here";
  std::filesystem::create_directory(Path("disk"));
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
  EXPECT_FALSE(Records("r.db").empty());
}

}  // namespace
}  // namespace hone
