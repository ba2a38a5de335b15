#include "tuner/measure/replay_measurer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "db/memory_record_store.h"

namespace hone {

StatusOr<RecordedRun> FindRecordedRun(const RecordStore& store, RecordFilter filter,
                                      const std::vector<std::string>& workload_keys,
                                      uint64_t seed) {
  filter.limit = 0;
  filter.newest_first = false;
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records, store.Query(filter));
  RecordedRun run;
  run.seed = seed;
  for (const pb::Record& record : records) {
    if (record.run_id().empty() || record.search_seed() != seed) continue;
    const bool ours = std::find(workload_keys.begin(), workload_keys.end(),
                                record.workload_key()) != workload_keys.end();
    if (ours) run.run_id = record.run_id();
  }
  if (run.run_id.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "the database has no run of these kernels with seed ", seed,
        " for this number of threads and numerics class; tune without --replay first"));
  }
  // By place: batches come home in another order than they were asked for.
  std::map<int, std::map<int, std::string>> places;
  for (const pb::Record& record : records) {
    if (record.run_id() != run.run_id) continue;
    if (run.first_id == 0) {
      run.first_id = record.id();
      run.speed = record.speed();
    }
    if (record.origin() == kDuelOrigin) continue;
    places[record.run_batch()][record.candidate()] = record.schedule();
  }
  for (const auto& [batch, schedules] : places) {
    for (const auto& [place, schedule] : schedules) run.batches[batch].push_back(schedule);
  }
  return run;
}

StatusOr<std::unique_ptr<RecordStore>> RecordsBefore(const RecordStore& store,
                                                     const RecordedRun& run) {
  HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, store.Query({}));
  std::erase_if(records, [&](const pb::Record& record) { return record.id() >= run.first_id; });
  auto before = std::make_unique<MemoryRecordStore>();
  HONE_RETURN_IF_ERROR(before->Append(records));
  return before;
}

std::string ReplayMeasurer::NameOf(const std::string& workload_key, const std::string& schedule,
                                   bool cold_constants, bool final, bool open) {
  return absl::StrCat(workload_key, cold_constants ? "|cold|" : "|", final ? "final|" : "|",
                      open ? "open|" : "|", schedule);
}

ReplayMeasurer::ReplayMeasurer(const std::vector<pb::Record>& records, RecordedRun run)
    : run_(std::move(run)) {
  for (const pb::Record& record : records) {
    const pb::Measurement& measurement = record.measurement();
    const bool of_run = !run_.run_id.empty() && record.run_id() == run_.run_id;
    Answers& answers =
        answers_[NameOf(record.workload_key(), record.schedule(), measurement.cold_constants(),
                        record.origin() == kDuelOrigin, !record.params().empty())];
    if (of_run && !answers.of_run) answers = {{}, true};
    const bool counts = of_run || (!answers.of_run && answers.measurements.empty());
    if (counts) answers.measurements.push_back(measurement);
  }
}

std::optional<pb::Measurement> ReplayMeasurer::Find(const pb::Batch& batch,
                                                    const std::string& workload_key,
                                                    const pb::Candidate& candidate, bool takes) {
  const bool open_here = !candidate.params().empty();
  for (const bool final : {batch.final(), !batch.final()}) {
    // Older runs told no sizes at run time; their times serve as well.
    for (const bool open : {open_here, !open_here}) {
      const auto it = answers_.find(
          NameOf(workload_key, candidate.schedule(), batch.cold_constants(), final, open));
      if (it == answers_.end()) continue;
      std::deque<pb::Measurement>& measurements = it->second.measurements;
      pb::Measurement found = measurements.front();
      if (takes && measurements.size() > 1) measurements.pop_front();
      return found;
    }
  }
  return std::nullopt;
}

// A batch that waits for no compiler is asked for before those that do: their order says nothing.
void ReplayMeasurer::Compare(const pb::Batch& batch) {
  ++outcome_.batches;
  if (run_.batches.empty() || !outcome_.difference.empty()) return;
  const auto at = run_.batches.find(batch.run_batch());
  if (at == run_.batches.end()) {
    outcome_.difference = absl::StrCat("the run asked for no batch ", batch.run_batch());
    return;
  }
  const std::vector<std::string>& recorded = at->second;
  for (int c = 0; c < batch.candidates_size(); ++c) {
    const std::string& proposed = batch.candidates(c).schedule();
    if (c < static_cast<int>(recorded.size()) && recorded[c] == proposed) continue;
    outcome_.difference = absl::StrCat("batch ", batch.run_batch(), ", candidate ", c + 1, " (",
                                       batch.candidates(c).origin(), ") is another");
    return;
  }
  ++outcome_.same;
}

StatusOr<std::string> ReplayMeasurer::Submit(const pb::Batch& batch) {
  if (!batch.final()) Compare(batch);
  const std::string workload_key = Digest(batch.workload());
  pb::BatchResult result;
  result.set_batch_id(absl::StrCat("replay.", ++submitted_));
  bool known = true;
  for (const pb::Candidate& candidate : batch.candidates()) {
    std::optional<pb::Measurement> measurement =
        Find(batch, workload_key, candidate, /*takes=*/true);
    if (measurement) {
      *result.add_measurements() = *std::move(measurement);
      continue;
    }
    known = false;
    if (outcome_.never_measured.empty()) outcome_.never_measured = candidate.schedule();
  }
  if (!known) {
    ++unanswered_;
    return result.batch_id();
  }
  std::optional<pb::Measurement> reference =
      Find(batch, workload_key, batch.reference(), /*takes=*/false);
  // A default that failed was replaced by the run; what came after is in the records.
  if (reference && reference->failure() == pb::OK) {
    *result.mutable_reference() = *std::move(reference);
  }
  waiting_.push_back(result);
  return result.batch_id();
}

StatusOr<std::vector<pb::BatchResult>> ReplayMeasurer::Wait(absl::Duration timeout) {
  if (waiting_.empty() && unanswered_ > 0 && timeout > absl::ZeroDuration()) ended_ = true;
  return std::exchange(waiting_, {});
}

Status ReplayMeasurer::Cancel(const std::vector<std::string>&) { return absl::OkStatus(); }

BuildCandidate ReplayBuilds() {
  return [](pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
    pb::BuildReply reply;
    reply.set_id(request.id());
    reply.mutable_artifact();
    done(std::move(reply));
  };
}

}  // namespace hone
