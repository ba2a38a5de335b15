#include "device_agent/report_spool.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

class ReportSpoolTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static pb::ReportRequest Report(const std::string& attempt_id) {
    pb::ReportRequest report;
    report.set_attempt_id(attempt_id);
    report.set_epoch(3);
    return report;
  }

  const std::string folder_ = absl::StrCat(testing::TempDir(), "/hone_report_spool_test");
};

TEST_F(ReportSpoolTest, KeepsReportsUntilTheyAreRemoved) {
  {
    const ReportSpool spool = ReportSpool::Open(folder_).value();
    ASSERT_TRUE(spool.Add(Report("../a/b")).ok());
    ASSERT_TRUE(spool.Add(Report("c")).ok());
  }
  const ReportSpool spool = ReportSpool::Open(folder_).value();
  EXPECT_EQ(spool.Load().size(), 2u);
  spool.Remove("c");
  spool.Remove("never there");
  ASSERT_EQ(spool.Load().size(), 1u);
  EXPECT_EQ(spool.Load()[0].attempt_id(), "../a/b");
  EXPECT_EQ(spool.Load()[0].epoch(), 3u);
}

TEST_F(ReportSpoolTest, RemovesWhatItCannotRead) {
  const ReportSpool spool = ReportSpool::Open(folder_).value();
  std::ofstream(absl::StrCat(folder_, "/damaged.report")) << "\xff\xff";
  EXPECT_TRUE(spool.Load().empty());
  EXPECT_FALSE(std::filesystem::exists(absl::StrCat(folder_, "/damaged.report")));
}

TEST_F(ReportSpoolTest, SaysWhenTheFolderCannotBeMade) {
  EXPECT_EQ(ReportSpool::Open("/proc/nowhere").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace hone
