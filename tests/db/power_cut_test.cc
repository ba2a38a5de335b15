// The store under power cuts: what was acknowledged is there when the power is back, once and
// whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

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

// What a database says of a batch.
struct BatchState {
  bool queued = false;
  int records = 0;  // of its outcome
  bool operator==(const BatchState&) const = default;
};

// A tracker's writes, and what it was told of them.
class Ledger {
 public:
  explicit Ledger(uint64_t seed) : random_(seed) {}

  // Writes until the store fails: how.
  Status WriteTo(SqliteRecordStore& store) {
    while (true) {
      if (random_() % 8 == 0) {
        HONE_RETURN_IF_ERROR(WritePolicy(store));
      } else {
        HONE_RETURN_IF_ERROR(WriteGroup(store));
      }
    }
  }

  // Everything acknowledged is there; what was under way is there whole or not at all.
  void Check(SqliteRecordStore& store) {
    CheckEpochs(store);
    CheckBatches(store);
    const auto policy = store.LoadPolicy();
    ASSERT_TRUE(policy.ok()) << policy.status();
    ASSERT_TRUE(policy->revision() == policy_ ||
                (policy_under_way_ && policy->revision() == policy_ + 1))
        << "policy " << policy->revision() << ", acknowledged was " << policy_;
    policy_ = policy->revision();
    policy_under_way_ = false;
    epochs_under_way_.clear();
    batches_under_way_.clear();
  }

  int64_t acknowledged() const { return acknowledged_; }

 private:
  Status WritePolicy(SqliteRecordStore& store) {
    policy_under_way_ = true;
    pb::FarmPolicy policy;
    policy.set_revision(policy_ + 1);
    HONE_RETURN_IF_ERROR(store.SavePolicy(policy));
    ++policy_;
    ++acknowledged_;
    policy_under_way_ = false;
    return absl::OkStatus();
  }

  Status WriteGroup(SqliteRecordStore& store) {
    std::vector<JournalEntry> group;
    const uint64_t size = 1 + random_() % 6;
    for (uint64_t i = 0; i < size; ++i) group.push_back(SomeEntry());
    Status failed;
    for (const JournalOutcome& outcome : store.Write(group)) failed.Update(outcome.status);
    HONE_RETURN_IF_ERROR(failed);
    for (const auto& [device, epoch] : epochs_under_way_) epochs_[device] = epoch;
    for (const auto& [batch, states] : batches_under_way_) batches_[batch] = states.back();
    acknowledged_ += static_cast<int64_t>(size);
    epochs_under_way_.clear();
    batches_under_way_.clear();
    return absl::OkStatus();
  }

  // A batch is submitted; later it is finished or forgotten.
  JournalEntry SomeEntry() {
    const uint64_t kind = random_() % 8;
    if (kind < 2) {
      const std::string device = absl::StrCat("board", random_() % 4);
      const auto under_way = epochs_under_way_.find(device);
      const uint64_t last =
          under_way == epochs_under_way_.end() ? epochs_[device] : under_way->second;
      epochs_under_way_[device] = last + 1;
      return EpochEntry{.device = device, .epoch = last + 1};
    }
    if (kind < 5 || queue_.empty()) {
      const std::string id = absl::StrCat("batch", ++last_batch_);
      queue_.push_back(id);
      batches_under_way_[id].push_back({.queued = true});
      auto batch = std::make_shared<pb::Batch>();
      batch->set_workload(std::string(random_() % 5000, 'w'));
      return BatchEntry{.client_id = "client", .batch_id = id, .batch = batch};
    }
    const std::string id = queue_.front();
    queue_.pop_front();
    if (kind == 5) {
      batches_under_way_[id].push_back({});
      return ForgetEntry{.batch_id = id};
    }
    OutcomeEntry outcome;
    outcome.result.set_batch_id(id);
    const int count = static_cast<int>(1 + random_() % 5);
    for (int i = 0; i < count; ++i) outcome.records.push_back(RecordOf(id, i));
    batches_under_way_[id].push_back({.records = count});
    return outcome;
  }

  pb::Record RecordOf(const std::string& batch, int candidate) {
    pb::Record record;
    record.set_workload(absl::StrCat("workload/1 w", random_() % 3));
    record.set_workload_key(record.workload());
    record.set_target("target/1 t");
    record.set_numerics("fp32");
    record.set_schedule(std::string(1 + random_() % 2000, 's'));
    record.set_batch_id(batch);
    record.set_candidate(candidate);
    record.mutable_measurement()->set_cost_ns(static_cast<double>(1 + random_() % 1000));
    return record;
  }

  void CheckEpochs(SqliteRecordStore& store) {
    const auto found = store.LoadEpochs();
    ASSERT_TRUE(found.ok()) << found.status();
    for (auto& [device, epoch] : epochs_) {
      const auto entry = found->find(device);
      const uint64_t got = entry == found->end() ? 0 : entry->second;
      const auto under_way = epochs_under_way_.find(device);
      const uint64_t latest = under_way == epochs_under_way_.end() ? epoch : under_way->second;
      ASSERT_TRUE(got >= epoch && got <= latest)
          << device << " has epoch " << got << ", acknowledged was " << epoch;
      epoch = got;
    }
  }

  void CheckBatches(SqliteRecordStore& store) {
    std::map<std::string, BatchState> found;
    const auto queued = store.LoadBatches();
    ASSERT_TRUE(queued.ok()) << queued.status();
    for (const JournaledBatch& batch : *queued) found[batch.batch_id].queued = true;
    const auto records = store.Query({});
    ASSERT_TRUE(records.ok()) << records.status();
    for (const pb::Record& record : *records) ++found[record.batch_id()].records;

    for (const auto& [batch, states] : batches_under_way_) batches_.try_emplace(batch);
    for (auto& [batch, state] : batches_) {
      const BatchState got = found[batch];
      std::vector<BatchState> possible = {state};
      if (const auto entry = batches_under_way_.find(batch); entry != batches_under_way_.end()) {
        possible.insert(possible.end(), entry->second.begin(), entry->second.end());
      }
      ASSERT_THAT(possible, testing::Contains(got)) << batch;
      const auto result = store.FindBatchResult(batch);
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_EQ(result->has_value(), got.records > 0) << batch;
      state = got;
    }
    ASSERT_EQ(found.size(), batches_.size()) << "batches that nobody wrote";
    queue_.clear();
    for (const JournaledBatch& batch : *queued) queue_.push_back(batch.batch_id);
  }

  std::mt19937_64 random_;
  int64_t acknowledged_ = 0;
  std::map<std::string, uint64_t> epochs_;
  std::map<std::string, BatchState> batches_;
  std::deque<std::string> queue_;
  int64_t policy_ = 0;
  int64_t last_batch_ = 0;
  // What was asked for and not answered when the power went; of a batch each state on its way.
  std::map<std::string, uint64_t> epochs_under_way_;
  std::map<std::string, std::vector<BatchState>> batches_under_way_;
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
