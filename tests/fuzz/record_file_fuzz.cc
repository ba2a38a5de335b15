// A database of records from somebody else: a sound one with bytes changed or cut off, or any bytes
// at all. It is opened to be read, now and then to be written to, and refused or answered from.
// SQLite itself is not instrumented: what guides is how far our own code comes.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "db/sqlite_record_store.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/some_record.h"

namespace hone {
namespace {

using Mode = SqliteOpenOptions::Mode;

const RecordKey kKey = {.workload_key = "key", .target = "target/1 t", .numerics = "fp32"};

pb::Record RecordOf(int candidate) {
  pb::Record record = SomeRecord("schedule/1");
  record.set_batch_id("b");
  record.set_candidate(candidate);
  return record;
}

// What a tracker and its people leave behind.
void Fill(SqliteRecordStore& store) {
  HONE_CHECK(store.Append({RecordOf(0), RecordOf(1), RecordOf(2)}).ok());
  auto batch = std::make_shared<pb::Batch>();
  batch->set_workload("workload/1 w");
  pb::BatchResult result;
  result.set_batch_id("c");
  result.add_measurements()->set_cost_ns(1);
  for (const JournalOutcome& outcome :
       store.Write({EpochEntry{"d", 1}, BatchEntry{"client", "b", batch},
                    OutcomeEntry{.device = "d", .epoch = 1, .result = result}})) {
    HONE_CHECK(outcome.status.ok()) << outcome.status;
  }
  HONE_CHECK(store.SavePolicy({}).ok());
  pb::JoinToken token;
  token.set_digest("token");
  token.set_expires_unix_ms(1);
  HONE_CHECK(store.AddJoinToken(token).ok());
  pb::Job job;
  job.set_id(1);
  HONE_CHECK(store.SaveJob(job).ok());
  HONE_CHECK(store.AppendModel("model", 0, "bytes").ok());
}

struct Place {
  ScratchFolder folder;
  std::string path = folder / "records.db";
  std::string sound;

  Place() {
    Fill(**SqliteRecordStore::Open({.path = path, .mode = Mode::kWrite, .holder = "a fuzzer"}));
    sound = *ReadFile(path);
  }
};

template <typename T>
void See(const StatusOr<T>& answer) {
  HONE_CHECK(answer.ok() || !answer.status().message().empty());
}

void Ask(FuzzedDataProvider& input, const SqliteRecordStore& store) {
  switch (input.ConsumeIntegralInRange<int>(0, 13)) {
    case 0:
      return See(store.Summarize());
    case 1:
      return See(store.Best(kKey));
    case 2:
      return See(store.BestPerLayouts(kKey));
    case 3:
      return See(store.History(kKey));
    case 4:
      return See(store.AllForTarget(kKey.target, 0));
    case 5:
      return See(store.LoadEpochs());
    case 6:
      return See(store.LoadBatches());
    case 7:
      return See(store.LoadPolicy());
    case 8:
      return See(store.FindBatchResult("c"));
    case 9:
      return See(store.CountJoinTokens(0));
    case 10:
      return See(store.LastAudit());
    case 11:
      return See(store.LoadJobs());
    case 12:
      return See(store.ReadModel("model", 0));
    default:
      return See(store.Query({}));
  }
}

std::string NextFile(FuzzedDataProvider& input, const std::string& sound) {
  if (input.ConsumeIntegralInRange<int>(0, 15) == 0) return input.ConsumeRandomLengthString(4096);
  std::string file = sound;
  for (int changes = input.ConsumeIntegralInRange<int>(0, 6); changes > 0; --changes) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, file.size() - 1);
    const std::string bytes = input.ConsumeRandomLengthString(64);
    file.replace(at, std::min(bytes.size(), file.size() - at), bytes);
  }
  if (input.ConsumeIntegralInRange<int>(0, 7) == 0) {
    file.resize(input.ConsumeIntegralInRange<size_t>(0, file.size()));
  }
  return file;
}

void Run(FuzzedDataProvider& input, const Place& place) {
  const bool writes = input.ConsumeIntegralInRange<int>(0, 15) == 0;
  std::ofstream(place.path, std::ios::binary | std::ios::trunc) << NextFile(input, place.sound);
  {
    const auto store = SqliteRecordStore::Open(
        {.path = place.path, .mode = writes ? Mode::kWrite : Mode::kRead, .holder = "a fuzzer"});
    See(store);
    if (store.ok()) {
      Ask(input, **store);
      HONE_CHECK(writes || !(*store)->Append({RecordOf(3)}).ok());
      if (writes) (void)(*store)->Append({RecordOf(3)});
    }
  }
  std::filesystem::remove(place.path + "-wal");
  std::filesystem::remove(place.path + "-shm");
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const hone::Place place;
  FuzzedDataProvider input(data, size);
  hone::Run(input, place);
  return 0;
}
