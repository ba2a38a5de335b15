// The store under power cuts: what was acknowledged is there when the power is back, once and
// whole.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "db/sqlite_record_store.h"
#include "tests/db/power_cut_disk.h"

namespace hone {
namespace {

constexpr int kFastCuts = 150;
constexpr int kCutsADatabase = 50;  // then a new one is begun, so that files stay small

int CutsOfThisRun() {
  const char* cuts = std::getenv("HONE_POWER_CUTS");
  return cuts == nullptr ? kFastCuts : std::atoi(cuts);
}

std::string IntegrityOf(const std::string& path) {
  sqlite3* handle = nullptr;
  std::string answer;
  if (sqlite3_open(path.c_str(), &handle) == SQLITE_OK) {
    const auto take = [](void* answer, int, char** values, char**) {
      absl::StrAppend(static_cast<std::string*>(answer), values[0]);
      return 0;
    };
    sqlite3_exec(handle, "PRAGMA integrity_check", take, &answer, nullptr);
  }
  sqlite3_close(handle);
  return answer;
}

// A tracker's writes, and what it was told of them.
class Ledger {
 public:
  explicit Ledger(uint64_t seed) : random_(seed) {}

  // Writes until the store fails: how.
  Status WriteTo(SqliteRecordStore& store) {
    while (true) {
      HONE_RETURN_IF_ERROR(WriteOne(store));
      ++acknowledged_;
    }
  }

  // Everything acknowledged is there; what was under way is there whole or not at all.
  void Check(SqliteRecordStore& store) {
    const auto epochs = store.LoadEpochs();
    ASSERT_TRUE(epochs.ok()) << epochs.status();
    for (auto& [device, epoch] : epochs_) {
      const auto found = epochs->find(device);
      const uint64_t got = found == epochs->end() ? 0 : found->second;
      ASSERT_TRUE(got == epoch || (device == device_under_way_ && got == epoch + 1))
          << device << " has epoch " << got << ", acknowledged was " << epoch;
      epoch = got;
    }
    if (!batch_under_way_.empty()) {
      const auto found = store.FindBatchResult(batch_under_way_);
      ASSERT_TRUE(found.ok()) << found.status();
      if (*found) batches_[batch_under_way_] = records_under_way_;
    }
    std::map<std::string, int> records;
    const auto all = store.Query({});
    ASSERT_TRUE(all.ok()) << all.status();
    for (const pb::Record& record : *all) ++records[record.batch_id()];
    EXPECT_EQ(records, batches_);
    for (const auto& [batch, count] : batches_) {
      const auto found = store.FindBatchResult(batch);
      ASSERT_TRUE(found.ok() && *found) << batch << ": " << found.status();
    }
    const auto policy = store.LoadPolicy();
    ASSERT_TRUE(policy.ok()) << policy.status();
    EXPECT_TRUE(policy->revision() == policy_ ||
                (policy_under_way_ && policy->revision() == policy_ + 1))
        << policy->revision() << ", acknowledged was " << policy_;
    policy_ = policy->revision();
    device_under_way_.clear();
    batch_under_way_.clear();
    policy_under_way_ = false;
  }

  int64_t acknowledged() const { return acknowledged_; }

 private:
  Status WriteOne(SqliteRecordStore& store) {
    Status status;
    const uint64_t kind = random_() % 8;
    if (kind == 0) {
      policy_under_way_ = true;
      pb::FarmPolicy policy;
      policy.set_revision(policy_ + 1);
      status = store.SavePolicy(policy);
      if (status.ok()) ++policy_, policy_under_way_ = false;
    } else if (kind < 4) {
      device_under_way_ = absl::StrCat("board", random_() % 4);
      const uint64_t epoch = epochs_[device_under_way_] + 1;
      status = store.SaveEpoch(device_under_way_, epoch);
      if (status.ok()) epochs_[device_under_way_] = epoch, device_under_way_.clear();
    } else {
      batch_under_way_ = absl::StrCat("batch", ++last_batch_);
      records_under_way_ = static_cast<int>(1 + random_() % 5);
      std::vector<pb::Record> records;
      for (int i = 0; i < records_under_way_; ++i) records.push_back(RecordOf(i));
      pb::BatchResult result;
      result.set_batch_id(batch_under_way_);
      status = store.CommitBatch(result, records);
      if (status.ok()) batches_[batch_under_way_] = records_under_way_, batch_under_way_.clear();
    }
    return status;
  }

  pb::Record RecordOf(int candidate) {
    pb::Record record;
    record.set_workload(absl::StrCat("workload/1 w", random_() % 3));
    record.set_workload_key(record.workload());
    record.set_target("target/1 t");
    record.set_numerics("fp32");
    record.set_schedule(std::string(1 + random_() % 2000, 's'));
    record.set_batch_id(batch_under_way_);
    record.set_candidate(candidate);
    record.mutable_measurement()->set_cost_ns(static_cast<double>(1 + random_() % 1000));
    return record;
  }

  std::mt19937_64 random_;
  int64_t acknowledged_ = 0;
  std::map<std::string, uint64_t> epochs_;
  std::map<std::string, int> batches_;  // -> how many records
  int64_t policy_ = 0;
  int64_t last_batch_ = 0;
  // What was asked for and not answered when the power went.
  std::string device_under_way_;
  std::string batch_under_way_;
  int records_under_way_ = 0;
  bool policy_under_way_ = false;
};

TEST(PowerCutTest, LosesAndDoublesNothingThatWasAcknowledged) {
  const auto start = std::chrono::steady_clock::now();
  const auto directory =
      std::filesystem::temp_directory_path() / absl::StrCat("hone-power-", std::random_device()());
  std::filesystem::create_directory(directory);
  PowerCutDisk disk;
  std::mt19937_64 random(20);
  int64_t acknowledged = 0;
  const int cuts = CutsOfThisRun();
  for (int first = 0; first < cuts && !::testing::Test::HasFatalFailure();
       first += kCutsADatabase) {
    const std::string path = directory / absl::StrCat("farm", first, ".db");
    Ledger ledger(random());
    for (int cut = first; cut < std::min(cuts, first + kCutsADatabase); ++cut) {
      SCOPED_TRACE(absl::StrCat("cut ", cut));
      // Early ones cut while the tables are made, and while an earlier cut is recovered from.
      disk.CutAfter(static_cast<int64_t>(1 + random() % (cut % 3 == 0 ? 20 : 300)), random());
      {
        auto store = SqliteRecordStore::Open(
            {.path = path, .mode = SqliteOpenOptions::Mode::kWrite, .holder = "the test"});
        const Status status = store.ok() ? ledger.WriteTo(**store) : store.status();
        ASSERT_TRUE(disk.IsDark()) << "failed for another reason: " << status;
      }
      disk.Restore();
      auto store = SqliteRecordStore::Open(
          {.path = path, .mode = SqliteOpenOptions::Mode::kWrite, .holder = "the test"});
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_NO_FATAL_FAILURE(ledger.Check(**store));
      store->reset();
      ASSERT_EQ(IntegrityOf(path), "ok");
    }
    acknowledged += ledger.acknowledged();
    std::filesystem::remove(path);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << cuts << " power cuts, " << acknowledged << " acknowledged writes, "
            << seconds.count() << " s\n";
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hone
