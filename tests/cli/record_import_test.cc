// Logs of other tuners on their way into a database.
#include "cli/record_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "db/sqlite_record_store.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A dense layer of `m` rows, in so many seconds.
std::string Line(int m, double seconds) {
  return absl::StrCat(
      R"({"input": ["llvm", "dense_pack.x86", [["TENSOR", [)", m,
      R"(, 64], "float32"], ["TENSOR", [10, 64], "float32"], null, "float32"], {}], "config": {)",
      R"("index": 3, "code_hash": null, "entity": [["tile_y", "sp", [-1, 4, 1]], ["tile_x", )",
      R"("sp", [-1, 2, 5]], ["tile_k", "sp", [-1, 8]], ["tile_inner", "sp", [-1, 1]]]}, )",
      R"("result": [[)", seconds,
      R"(], 0, 1.5, 1580000000], "version": 0.2, "tvm_version": "0.8"})", "\n");
}

class RecordImportTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    store_.reset();
    auto store = SqliteRecordStore::Open(
        {.path = scratch_ / "records.db", .mode = SqliteOpenOptions::Mode::kWrite});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Append(const std::string& text) {
    std::ofstream(import_.path, std::ios::app | std::ios::binary) << text;
  }
  ImportReport Import() {
    const auto report = ImportLog(import_, *store_);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(ImportReport());
  }

  ScratchFolder scratch_;
  LogImport import_ = {.path = scratch_ / "tune.log", .rejected_path = scratch_ / "bad"};
  std::unique_ptr<SqliteRecordStore> store_;
};

TEST_F(RecordImportTest, KeepsTheBestOfEachKernelAndCountsTheRest) {
  Append(Line(8, 3e-6) + Line(8, 1e-6) + Line(8, 2e-6) + Line(16, 4e-6));
  const ImportReport report = Import();
  EXPECT_EQ(report.lines, 4);
  EXPECT_EQ(report.costs, 4);
  const auto costs = store_->SummarizeImported();
  ASSERT_TRUE(costs.ok()) << costs.status();
  ASSERT_THAT(*costs, SizeIs(2));
  const ImportedCost& eight = (*costs)[0].costs == 3 ? (*costs)[0] : (*costs)[1];
  EXPECT_EQ(eight.costs, 3);
  EXPECT_NEAR(eight.cost_ns, 1000, 1e-6);
  EXPECT_EQ(eight.line, 2);
  EXPECT_THAT(eight.workload, HasSubstr("[8,64]"));
}

TEST_F(RecordImportTest, NeverMakesARecord) {
  Append(Line(8, 1e-9));
  Import();
  const auto costs = store_->SummarizeImported();
  ASSERT_THAT(*costs, SizeIs(1));
  EXPECT_THAT(*store_->Query({}), SizeIs(0));
  EXPECT_THAT(*store_->Summarize(), SizeIs(0));
  EXPECT_FALSE(
      store_->Best({.workload_key = costs->front().workload_key, .target = "llvm"})->has_value());
}

TEST_F(RecordImportTest, PutsBadLinesAsideAndGoesOn) {
  Append(Line(8, 1e-6) + "nonsense\n" + std::string(5'000'000, 'x') + "\n\n" + "{\"input\": []}\n" +
         Line(8, 2e-6));
  const ImportReport report = Import();
  EXPECT_EQ(report.lines, 5);
  EXPECT_EQ(report.costs, 2);
  EXPECT_EQ(report.bad, 3);
  const std::string aside = *ReadFile(import_.rejected_path);
  EXPECT_THAT(aside, HasSubstr("2\tno JSON\tnonsense\n"));
  EXPECT_THAT(aside, HasSubstr("3\ta line of more than 1 MiB\txxx"));
  EXPECT_LT(aside.size(), 10'000u);
  EXPECT_THAT(Describe(import_, report), HasSubstr("bad lines: 3, in "));
}

TEST_F(RecordImportTest, GoesOnWhereItWas) {
  Append(Line(8, 2e-6) + Line(8, 3e-6));
  EXPECT_EQ(Import().costs, 2);
  Open();
  ImportReport again = Import();
  EXPECT_EQ(again.lines, 0);
  EXPECT_EQ(again.resumed_at, 2);
  // A log that its tuner still writes: the end of its last line is not there yet.
  const std::string next = Line(8, 1e-6);
  Append(next.substr(0, 40));
  EXPECT_EQ(Import().lines, 0);
  Append(next.substr(40));
  again = Import();
  EXPECT_EQ(again.costs, 1);
  EXPECT_EQ(again.bad, 0);
  const auto costs = store_->SummarizeImported();
  EXPECT_EQ(costs->front().costs, 3);
  EXPECT_EQ(costs->front().line, 3);
}

TEST_F(RecordImportTest, GoesOnAfterABreakInTheMiddle) {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += Line(8, 1e-6 + 1e-9 * i);
  Append(text);
  // What breaks: the file for bad lines, after the first step was kept.
  Append("nonsense\n");
  import_.rejected_path = scratch_ / "no/such/folder";
  EXPECT_FALSE(ImportLog(import_, *store_).ok());
  EXPECT_EQ(store_->SummarizeImported()->front().costs, 50'000);
  import_.rejected_path = scratch_ / "bad";
  const ImportReport report = Import();
  EXPECT_EQ(report.resumed_at, 50'000);
  EXPECT_EQ(report.costs, 10'000);
  EXPECT_EQ(store_->SummarizeImported()->front().costs, 60'000);
}

// A million lines, when asked for: HONE_IMPORT_LINES=1000000 record_import_test
TEST_F(RecordImportTest, ReadsLargeLogs) {
  const char* wanted = std::getenv("HONE_IMPORT_LINES");
  const int64_t lines = wanted == nullptr ? 20'000 : std::atoll(wanted);
  {
    std::ofstream log(import_.path, std::ios::binary);
    for (int64_t i = 0; i < lines; ++i) log << Line(1 + static_cast<int>(i % 64), 1e-6);
  }
  const absl::Time began = absl::Now();
  EXPECT_EQ(Import().costs, lines);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  RecordProperty("lines_a_second", static_cast<int>(static_cast<double>(lines) / seconds));
  std::cout << lines << " lines in " << seconds << " s\n";
  EXPECT_EQ(store_->SummarizeImported()->size(), 64u);
}

}  // namespace
}  // namespace hone
