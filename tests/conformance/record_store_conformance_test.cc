// What every FarmDatabase must answer, whatever it keeps its records in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "db/memory_record_store.h"
#include "db/postgres_leadership.h"
#include "db/postgres_record_store.h"
#include "db/sqlite_record_store.h"
#include "tests/support/postgres_cluster.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A store under test, through each of its interfaces.
struct Opened {
  std::shared_ptr<void> owner;
  RecordStore* records = nullptr;  // null: `skipped` says why there is none
  FarmJournal* journal = nullptr;
  JobStore* jobs = nullptr;
  BuildStore* builds = nullptr;
  std::string skipped;
};

template <typename Store>
Opened Open(std::shared_ptr<Store> store) {
  return {store, store.get(), store.get(), store.get(), store.get(), ""};
}

struct Implementation {
  std::string name;
  std::function<Opened(const std::filesystem::path& directory)> open;
};

Opened OpenMemory(const std::filesystem::path& directory) {
  return Open(std::make_shared<MemoryRecordStore>());
}

Opened OpenSqlite(const std::filesystem::path& directory) {
  auto store = SqliteRecordStore::Open(
      {.path = directory / "records.db", .mode = SqliteOpenOptions::Mode::kWrite});
  EXPECT_TRUE(store.ok()) << store.status();
  return Open(std::shared_ptr<SqliteRecordStore>(*std::move(store)));
}

// A store, and the lead under whose term it writes.
struct LedStore {
  std::unique_ptr<PostgresLeadership> leadership;
  std::unique_ptr<PostgresRecordStore> store;
};

Opened OpenPostgres(const std::filesystem::path& directory) {
  const auto cluster = PostgresCluster::OfThisProgram();
  if (!cluster.ok()) return {.skipped = std::string(cluster.status().message())};
  const std::string url = (*cluster)->NewDatabase();
  auto led = std::make_shared<LedStore>();
  led->leadership = *PostgresLeadership::Open({.url = url, .address = "here:1"});
  EXPECT_EQ(led->leadership->Poll(), absl::OkStatus());
  auto store = PostgresRecordStore::Open({.url = url, .term = led->leadership->term()});
  EXPECT_TRUE(store.ok()) << store.status();
  led->store = *std::move(store);
  PostgresRecordStore* const opened = led->store.get();
  return {std::move(led), opened, opened, opened, opened, ""};
}

pb::Record OkRecord(const std::string& schedule, double cost_ns) {
  pb::Record record;
  record.set_workload("workload/1 " + std::string("w"));
  record.set_workload_key("key-w");
  record.set_target("target/1 t");
  record.set_numerics("fp32");
  record.set_codegen_epoch(1);
  record.set_schedule(schedule);
  record.mutable_measurement()->set_cost_ns(cost_ns);
  record.mutable_measurement()->set_device("board");
  return record;
}

pb::Record FailedRecord(const std::string& schedule, pb::FailureKind kind) {
  pb::Record record = OkRecord(schedule, 0);
  record.mutable_measurement()->set_failure(kind);
  return record;
}

const RecordKey kKey = {
    .workload_key = "key-w", .target = "target/1 t", .numerics = "fp32", .codegen_epoch = 1};

std::vector<std::string> Schedules(const StatusOr<std::vector<pb::Record>>& records) {
  EXPECT_TRUE(records.ok()) << records.status();
  std::vector<std::string> result;
  if (records.ok()) {
    for (const pb::Record& record : *records) result.push_back(record.schedule());
  }
  return result;
}

JournalEntry Taken(const std::string& batch_id) {
  auto batch = std::make_shared<pb::Batch>();
  batch->set_workload("workload of " + batch_id);
  return BatchEntry{.client_id = "client", .batch_id = batch_id, .batch = batch};
}

OutcomeEntry Outcome(const std::string& batch_id, std::vector<pb::Record> records) {
  OutcomeEntry entry;
  entry.result.set_batch_id(batch_id);
  for (size_t i = 0; i < records.size(); ++i) {
    entry.result.add_measurements()->set_cost_ns(records[i].measurement().cost_ns());
    records[i].set_batch_id(batch_id);
    records[i].set_candidate(static_cast<int>(i));
  }
  entry.records = std::move(records);
  return entry;
}

class RecordStoreTest : public ::testing::TestWithParam<Implementation> {
 protected:
  RecordStoreTest() {
    std::random_device random;
    directory_ = std::filesystem::temp_directory_path() / absl::StrCat("hone-store-", random());
    std::filesystem::create_directory(directory_);
    opened_ = GetParam().open(directory_);
  }
  void SetUp() override {
    if (opened_.records == nullptr) GTEST_SKIP() << opened_.skipped;
  }
  ~RecordStoreTest() override {
    opened_ = {};
    std::filesystem::remove_all(directory_);
  }

  void Append(const std::vector<pb::Record>& records) {
    const Status status = store().Append(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string BestSchedule(const RecordKey& key,
                           const std::optional<std::string>& layouts = std::nullopt) {
    const auto best = store().Best(key, layouts);
    EXPECT_TRUE(best.ok()) << best.status();
    return best.ok() && best->has_value() ? (*best)->schedule() : "none";
  }
  Status WriteOne(const JournalEntry& entry) { return journal().Write({entry}).front().status; }
  // What the journal has to be measured, as text.
  std::vector<std::string> Waiting() {
    std::vector<std::string> lines;
    const auto batches = journal().LoadBatches();
    EXPECT_TRUE(batches.ok()) << batches.status();
    for (const JournaledBatch& batch : *batches) {
      lines.push_back(absl::StrCat(
          batch.batch_id, " of ", batch.client_id,
          batch.device.empty() ? "" : absl::StrCat(" on ", batch.device, ":", batch.epoch)));
    }
    return lines;
  }
  RecordStore& store() { return *opened_.records; }
  FarmJournal& journal() { return *opened_.journal; }
  JobStore& jobs() { return *opened_.jobs; }
  BuildStore& builds() { return *opened_.builds; }

 private:
  std::filesystem::path directory_;
  Opened opened_;
};

TEST_P(RecordStoreTest, GivesBackEveryFieldOfARecord) {
  pb::Record record = OkRecord("tile m 6", 120);
  record.set_layouts("layout x nchw8c");
  (*record.mutable_params())["mc"] = 96;
  record.set_predicted_ns(100);
  record.set_origin("model");
  record.set_client("me@host:1");
  record.set_tool_version("0.1");
  record.set_search_seed(7);
  record.set_batch_id("b");
  record.set_candidate(3);
  (*record.mutable_environment())["governor"] = "performance";
  record.mutable_measurement()->set_median_ns(125);
  Append({record});
  auto history = store().History(kKey);
  ASSERT_TRUE(history.ok());
  ASSERT_EQ(history->size(), 1);
  EXPECT_GT(history->front().id(), 0);
  history->front().clear_id();
  EXPECT_EQ(history->front().DebugString(), record.DebugString());
}

TEST_P(RecordStoreTest, BestIsNoneInAnEmptyStore) { EXPECT_EQ(BestSchedule(kKey), "none"); }

TEST_P(RecordStoreTest, BestHasTheLowestCost) {
  Append({OkRecord("a", 30), OkRecord("b", 10), OkRecord("c", 20)});
  EXPECT_EQ(BestSchedule(kKey), "b");
}

TEST_P(RecordStoreTest, BestIsTheOlderOfTwoEqualOnes) {
  Append({OkRecord("a", 10), OkRecord("b", 10)});
  EXPECT_EQ(BestSchedule(kKey), "a");
}

TEST_P(RecordStoreTest, BestPrefersFinalistsToFasterOthers) {
  pb::Record finalist = OkRecord("final", 20);
  finalist.mutable_measurement()->set_finalist(true);
  Append({OkRecord("quick", 10), finalist});
  EXPECT_EQ(BestSchedule(kKey), "final");
}

TEST_P(RecordStoreTest, BestIsNeverAFailure) {
  Append({FailedRecord("crashes", pb::CRASH), FailedRecord("wrong", pb::INCORRECT)});
  EXPECT_EQ(BestSchedule(kKey), "none");
}

TEST_P(RecordStoreTest, BestIsNeverOfAnotherKey) {
  Append({OkRecord("a", 10)});
  for (const auto& change : std::vector<std::function<void(RecordKey&)>>{
           [](RecordKey& key) { key.workload_key = "other"; },
           [](RecordKey& key) { key.target = "target/1 other"; },
           [](RecordKey& key) { key.numerics = "strict"; },
           [](RecordKey& key) { key.codegen_epoch = 2; }}) {
    RecordKey key = kKey;
    change(key);
    EXPECT_EQ(BestSchedule(key), "none");
  }
}

TEST_P(RecordStoreTest, BestCanBeAskedForLayouts) {
  pb::Record blocked = OkRecord("blocked", 10);
  blocked.set_layouts("layout x nchw8c");
  Append({blocked, OkRecord("slower", 30), OkRecord("plain", 20)});
  EXPECT_EQ(BestSchedule(kKey), "blocked");
  EXPECT_EQ(BestSchedule(kKey, ""), "plain");
  EXPECT_EQ(BestSchedule(kKey, "layout x nchw16c"), "none");
  EXPECT_THAT(Schedules(store().BestPerLayouts(kKey)), ElementsAre("plain", "blocked"));
}

TEST_P(RecordStoreTest, HistoryHasFailuresTooAndIsOldestFirst) {
  Append({OkRecord("a", 10), FailedRecord("b", pb::TIMEOUT)});
  Append({OkRecord("c", 5)});
  EXPECT_THAT(Schedules(store().History(kKey)), ElementsAre("a", "b", "c"));
}

TEST_P(RecordStoreTest, AllForTargetCrossesWorkloadsButNotTargets) {
  pb::Record other_workload = OkRecord("b", 10);
  other_workload.set_workload("workload/1 v");
  other_workload.set_workload_key("key-v");
  pb::Record other_target = OkRecord("c", 10);
  other_target.set_target("target/1 u");
  Append({OkRecord("a", 10), other_workload, other_target, FailedRecord("d", pb::CRASH)});
  EXPECT_THAT(Schedules(store().AllForTarget("target/1 t", 0)), ElementsAre("b", "a"));
  EXPECT_THAT(Schedules(store().AllForTarget("target/1 t", 1)), ElementsAre("b"));
}

TEST_P(RecordStoreTest, QueryRestrictsByWhatIsSet) {
  pb::Record elsewhere = OkRecord("elsewhere", 10);
  elsewhere.mutable_measurement()->set_device("other board");
  Append({OkRecord("a", 10), elsewhere, FailedRecord("b", pb::CRASH)});
  EXPECT_THAT(Schedules(store().Query({})), ElementsAre("a", "elsewhere", "b"));
  EXPECT_THAT(Schedules(store().Query({.device = "board"})), ElementsAre("a", "b"));
  EXPECT_THAT(Schedules(store().Query({.failure = pb::CRASH})), ElementsAre("b"));
  EXPECT_THAT(Schedules(store().Query({.codegen_epoch = 9})), IsEmpty());
  EXPECT_THAT(Schedules(store().Query({.newest_first = true, .limit = 2})),
              ElementsAre("b", "elsewhere"));
}

TEST_P(RecordStoreTest, SummarizeHasOneEntryAKey) {
  pb::Record strict = OkRecord("s", 50);
  strict.set_numerics("strict");
  strict.mutable_measurement()->set_unix_ms(2000);
  Append({FailedRecord("a", pb::CRASH), OkRecord("b", 10), strict, OkRecord("c", 5)});
  const auto summaries = store().Summarize();
  ASSERT_TRUE(summaries.ok());
  ASSERT_EQ(summaries->size(), 2);
  EXPECT_EQ((*summaries)[0].records, 3);
  EXPECT_EQ((*summaries)[0].failures, 1);
  EXPECT_EQ((*summaries)[0].best_cost_ns, 5);
  EXPECT_EQ((*summaries)[0].workload, "workload/1 w");
  EXPECT_EQ((*summaries)[1].key.numerics, "strict");
  EXPECT_EQ((*summaries)[1].latest_unix_ms, 2000);
}

TEST_P(RecordStoreTest, RefusesARecordWithoutProvenanceAndStoresNoneOfItsBatch) {
  pb::Record nameless = OkRecord("b", 10);
  nameless.clear_target();
  EXPECT_EQ(store().Append({OkRecord("a", 10), nameless}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Schedules(store().Query({})), IsEmpty());
}

TEST_P(RecordStoreTest, RefusesAnOkRecordWithoutACost) {
  EXPECT_EQ(store().Append({OkRecord("a", 0)}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(RecordStoreTest, SkipsARecordOfABatchItHas) {
  pb::Record record = OkRecord("a", 10);
  record.set_batch_id("b1");
  Append({record});
  Append({record});
  record.set_candidate(1);
  Append({record});
  EXPECT_THAT(Schedules(store().Query({})), ElementsAre("a", "a"));
}

TEST_P(RecordStoreTest, KeepsThePolicySavedLast) {
  EXPECT_EQ(journal().LoadPolicy()->SerializeAsString(), "");
  pb::FarmPolicy policy;
  policy.set_revision(1);
  ASSERT_TRUE(journal().SavePolicy(policy).ok());
  policy.set_revision(2);
  (*policy.mutable_drained())["board"] = "new fan";
  ASSERT_TRUE(journal().SavePolicy(policy).ok());
  EXPECT_EQ(journal().LoadPolicy()->revision(), 2);
  EXPECT_EQ(journal().LoadPolicy()->drained().at("board"), "new fan");
}

TEST_P(RecordStoreTest, KeepsEpochsAndNeverLowersThem) {
  EXPECT_THAT(*journal().LoadEpochs(), IsEmpty());
  EXPECT_TRUE(WriteOne(EpochEntry{"board", 1}).ok());
  EXPECT_TRUE(WriteOne(EpochEntry{"board", 4}).ok());
  EXPECT_EQ(WriteOne(EpochEntry{"board", 4}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(WriteOne(EpochEntry{"board", 3}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(WriteOne(EpochEntry{"other", 2}).ok());
  EXPECT_THAT(*journal().LoadEpochs(),
              ElementsAre(std::pair("board", uint64_t{4}), std::pair("other", uint64_t{2})));
}

TEST_P(RecordStoreTest, CommitsABatchOnce) {
  const OutcomeEntry entry = Outcome("b1", {OkRecord("a", 10)});
  EXPECT_TRUE(WriteOne(entry).ok());
  const JournalOutcome again = journal().Write({entry}).front();
  EXPECT_EQ(again.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(again.finished->DebugString(), entry.result.DebugString());
  EXPECT_THAT(Schedules(store().Query({})), ElementsAre("a"));
  const auto found = journal().FindBatchResult("b1");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->DebugString(), entry.result.DebugString());
  EXPECT_FALSE(journal().FindBatchResult("b2")->has_value());
}

TEST_P(RecordStoreTest, CommitsNothingOfABatchWithABadRecord) {
  EXPECT_EQ(WriteOne(Outcome("b1", {OkRecord("b", 10), OkRecord("a", 0)})).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(journal().FindBatchResult("b1")->has_value());
  EXPECT_THAT(Schedules(store().Query({})), IsEmpty());
}

TEST_P(RecordStoreTest, CommitsNothingUnderAnEpochThatPassed) {
  ASSERT_TRUE(WriteOne(EpochEntry{"board", 3}).ok());
  OutcomeEntry entry = Outcome("b1", {OkRecord("a", 10)});
  entry.device = "board";
  for (const uint64_t epoch : {2, 4}) {
    entry.epoch = epoch;
    EXPECT_EQ(WriteOne(entry).code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_THAT(Schedules(store().Query({})), IsEmpty());
  entry.epoch = 3;
  EXPECT_TRUE(WriteOne(entry).ok());
  EXPECT_THAT(Schedules(store().Query({})), ElementsAre("a"));
}

TEST_P(RecordStoreTest, KeepsBatchesUntilTheyAreFinishedOrForgotten) {
  for (const char* id : {"b3", "b1", "b2"}) ASSERT_TRUE(WriteOne(Taken(id)).ok());
  EXPECT_TRUE(WriteOne(Taken("b1")).ok());  // once more changes nothing
  EXPECT_THAT(Waiting(), ElementsAre("b3 of client", "b1 of client", "b2 of client"));
  const auto batches = journal().LoadBatches();
  EXPECT_EQ(batches->front().batch->workload(), "workload of b3");
  EXPECT_TRUE(WriteOne(Outcome("b1", {})).ok());
  EXPECT_TRUE(WriteOne(ForgetEntry{"b3"}).ok());
  EXPECT_TRUE(WriteOne(ForgetEntry{"never there"}).ok());
  EXPECT_THAT(Waiting(), ElementsAre("b2 of client"));
  // What is finished stays finished; what is forgotten may come again, and goes last.
  const JournalOutcome finished = journal().Write({Taken("b1")}).front();
  EXPECT_EQ(finished.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(finished.finished->batch_id(), "b1");
  EXPECT_TRUE(WriteOne(Taken("b3")).ok());
  EXPECT_THAT(Waiting(), ElementsAre("b2 of client", "b3 of client"));
}

TEST_P(RecordStoreTest, KnowsWhomABatchWasGivenToLast) {
  ASSERT_TRUE(WriteOne(Taken("b1")).ok());
  EXPECT_TRUE(WriteOne(GrantEntry{"b1", "board", 3}).ok());
  EXPECT_TRUE(WriteOne(GrantEntry{"b1", "other", 7}).ok());
  EXPECT_TRUE(WriteOne(GrantEntry{"b2", "other", 7}).ok());
  EXPECT_THAT(Waiting(), ElementsAre("b1 of client on other:7"));
}

TEST_P(RecordStoreTest, WritesAGroupWithoutThoseItRefuses) {
  const auto outcomes =
      journal().Write({Taken("b1"), EpochEntry{"board", 2}, EpochEntry{"board", 1},
                       Outcome("b1", {OkRecord("a", 10)}), Outcome("b1", {OkRecord("b", 10)}),
                       Taken("b2"), GrantEntry{"b2", "board", 2}});
  std::vector<bool> written;
  for (const JournalOutcome& outcome : outcomes) written.push_back(outcome.status.ok());
  EXPECT_THAT(written, ElementsAre(true, true, false, true, false, true, true));
  EXPECT_THAT(Waiting(), ElementsAre("b2 of client on board:2"));
  EXPECT_THAT(Schedules(store().Query({})), ElementsAre("a"));
  EXPECT_THAT(*journal().LoadEpochs(), ElementsAre(std::pair("board", uint64_t{2})));
}

pb::Record MeasuredAt(const std::string& schedule, double cost_ns, int64_t unix_ms) {
  pb::Record record = OkRecord(schedule, cost_ns);
  record.mutable_measurement()->set_unix_ms(unix_ms);
  return record;
}

JournalEntry TaintOfBoard(int64_t since_unix_ms, int64_t until_unix_ms, const std::string& reason) {
  TaintEntry entry = {.device = "board"};
  entry.taint.set_since_unix_ms(since_unix_ms);
  entry.taint.set_until_unix_ms(until_unix_ms);
  entry.taint.set_reason(reason);
  return entry;
}

TEST_P(RecordStoreTest, TaintedRecordsStayAndAreNeverTheBest) {
  pb::Record elsewhere = MeasuredAt("elsewhere", 15, 200);
  elsewhere.mutable_measurement()->set_device("other board");
  Append({MeasuredAt("before", 30, 99), MeasuredAt("first", 10, 100), MeasuredAt("last", 5, 300),
          MeasuredAt("after", 40, 301), elsewhere});
  EXPECT_EQ(BestSchedule(kKey), "last");
  EXPECT_TRUE(WriteOne(TaintOfBoard(100, 300, "it drifted")).ok());
  EXPECT_EQ(BestSchedule(kKey), "elsewhere");
  EXPECT_THAT(Schedules(store().BestPerLayouts(kKey)), ElementsAre("elsewhere"));
  EXPECT_THAT(Schedules(store().History(kKey)),
              ElementsAre("before", "first", "last", "after", "elsewhere"));
  EXPECT_THAT(Schedules(store().Query({.tainted = true})), ElementsAre("first", "last"));
  EXPECT_EQ(store().Query({.tainted = true})->front().measurement().taint(), "it drifted");
  EXPECT_THAT(Schedules(store().AllForTarget("target/1 t", 0)),
              ElementsAre("elsewhere", "after", "before"));
  EXPECT_EQ(store().Summarize()->front().best_cost_ns, 15);
}

TEST_P(RecordStoreTest, TaintsARecordOnceAndOnlyForAReason) {
  Append({MeasuredAt("a", 10, 100)});
  EXPECT_TRUE(WriteOne(TaintOfBoard(0, 200, "it drifted")).ok());
  EXPECT_TRUE(WriteOne(TaintOfBoard(0, 200, "once more")).ok());
  EXPECT_EQ(store().History(kKey)->front().measurement().taint(), "it drifted");
  EXPECT_EQ(WriteOne(TaintOfBoard(0, 200, "")).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(RecordStoreTest, BestIsNeverARecordThatCameTainted) {
  pb::Record hot = OkRecord("hot", 5);
  hot.mutable_measurement()->set_taint("throttled");
  Append({hot, OkRecord("cool", 10)});
  EXPECT_EQ(BestSchedule(kKey), "cool");
  EXPECT_EQ(BestSchedule(kKey, ""), "cool");
}

TEST_P(RecordStoreTest, BestPrefersDevicesOfBenchQualityToIndicativeOnes) {
  pb::Record indicative = OkRecord("indicative", 5);
  indicative.mutable_measurement()->set_finalist(true);
  (*indicative.mutable_environment())["quality"] = "indicative";
  pb::Record bench = OkRecord("bench", 10);
  (*bench.mutable_environment())["quality"] = "bench";
  Append({indicative, bench});
  EXPECT_EQ(BestSchedule(kKey), "bench");
  EXPECT_THAT(Schedules(store().BestPerLayouts(kKey)), ElementsAre("bench"));
}

pb::Job SomeJob(int64_t id, uint64_t epoch) {
  pb::Job job;
  job.set_id(id);
  job.set_epoch(epoch);
  job.mutable_spec()->set_model("model.onnx");
  return job;
}

TEST_P(RecordStoreTest, KeepsJobsInOrderAndEachAsSavedLast) {
  EXPECT_THAT(*jobs().LoadJobs(), IsEmpty());
  ASSERT_TRUE(jobs().SaveJob(SomeJob(12, 0)).ok());
  ASSERT_TRUE(jobs().SaveJob(SomeJob(2, 0)).ok());
  pb::Job later = SomeJob(12, 1);
  later.set_phase(pb::JOB_RUNNING);
  ASSERT_TRUE(jobs().SaveJob(later).ok());
  const std::vector<pb::Job> all = *jobs().LoadJobs();
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].id(), 2);
  EXPECT_EQ(all[1].DebugString(), later.DebugString());
}

TEST_P(RecordStoreTest, NeverLowersTheEpochOfAJob) {
  ASSERT_TRUE(jobs().SaveJob(SomeJob(1, 3)).ok());
  EXPECT_EQ(jobs().SaveJob(SomeJob(1, 2)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(jobs().SaveJob(SomeJob(1, 3)).ok());
  EXPECT_EQ((*jobs().LoadJobs())[0].epoch(), 3);
}

TEST_P(RecordStoreTest, PutsModelsTogetherFromPieces) {
  EXPECT_EQ(*jobs().ModelBytes("m"), 0);
  EXPECT_EQ(*jobs().ReadModel("m", 0), "");
  const std::string first("a\0b", 3);
  ASSERT_TRUE(jobs().AppendModel("m", 0, first).ok());
  // The answer was lost, or another sends the same: it asks how far the model is.
  EXPECT_EQ(jobs().AppendModel("m", 0, first).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(jobs().AppendModel("m", 3, "cd").ok());
  ASSERT_TRUE(jobs().AppendModel("other", 0, "x").ok());
  EXPECT_EQ(*jobs().ModelBytes("m"), 5);
  for (int64_t begin : {0, 1, 3, 4}) {
    std::string rest;
    while (true) {
      const std::string piece = *jobs().ReadModel("m", begin + static_cast<int64_t>(rest.size()));
      if (piece.empty()) break;
      rest += piece;
    }
    EXPECT_EQ(rest, (first + "cd").substr(begin));
  }
  ASSERT_TRUE(jobs().DropModel("m").ok());
  ASSERT_TRUE(jobs().DropModel("m").ok());
  EXPECT_EQ(*jobs().ModelBytes("m"), 0);
  EXPECT_EQ(*jobs().ModelBytes("other"), 1);
}

pb::BuiltReply Built(const std::string& key, const std::string& digest) {
  pb::BuiltReply built;
  built.set_key(key);
  built.mutable_reply()->mutable_artifact()->set_code_digest(digest);
  return built;
}

TEST_P(RecordStoreTest, KeepsTheLatestBuildsEachAsSavedLast) {
  const auto load = [this] {
    std::vector<std::string> all;
    const std::vector<pb::BuiltReply> stored = *builds().LoadBuilds();
    for (const pb::BuiltReply& built : stored) {
      all.push_back(built.key() + "=" + built.reply().artifact().code_digest());
    }
    return all;
  };
  EXPECT_THAT(load(), IsEmpty());
  ASSERT_TRUE(builds().SaveBuilds({Built("b", "1"), Built("a", "2")}).ok());
  ASSERT_TRUE(builds().SaveBuilds({Built("c", "3"), Built("b", "4")}).ok());
  EXPECT_THAT(load(), ElementsAre("b=4", "a=2", "c=3"));
  std::vector<pb::BuiltReply> many;
  for (int i = 0; i < BuildStore::kBuildsMax - 1; ++i) many.push_back(Built(absl::StrCat(i), ""));
  ASSERT_TRUE(builds().SaveBuilds(many).ok());
  const std::vector<std::string> latest = load();
  ASSERT_EQ(latest.size(), static_cast<size_t>(BuildStore::kBuildsMax));
  EXPECT_EQ(latest.front(), "c=3");
}

INSTANTIATE_TEST_SUITE_P(Stores, RecordStoreTest,
                         ::testing::Values(Implementation{"Memory", OpenMemory},
                                           Implementation{"Sqlite", OpenSqlite},
                                           Implementation{"Postgres", OpenPostgres}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hone
