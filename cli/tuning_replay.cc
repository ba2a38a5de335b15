#include "cli/tuning_replay.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/tuning_output.h"
#include "cli/tuning_tasks.h"
#include "compiler/compile.h"
#include "compiler/model_source.h"
#include "db/sqlite_record_store.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/farm_tuning.h"
#include "tuner/measure/replay_measurer.h"
#include "tuner/tuning_session.h"

namespace hone {
namespace {

// What a replay repeats, and for which target.
struct ReplaySource {
  RecordedRun run;
  Target target;
  std::vector<TuningTask> tasks;
  int64_t model_constant_bytes = 0;
};

// The latest run of this command in the database. Targets are tried in the order of their latest
// record, since the model's kernels, and so what counts as a run of them, depend on the target.
StatusOr<ReplaySource> FindRun(const TuneOptions& options, Numerics numerics,
                               const RecordStore& store) {
  HONE_ASSIGN_OR_RETURN(std::vector<RecordSummary> summaries, store.Summarize());
  std::stable_sort(summaries.begin(), summaries.end(),
                   [](const RecordSummary& a, const RecordSummary& b) {
                     return a.latest_unix_ms > b.latest_unix_ms;
                   });
  Status status = absl::NotFoundError("the database has no records; tune without --replay first");
  std::set<std::string> tried;
  for (const RecordSummary& summary : summaries) {
    if (!tried.insert(summary.key.target).second) continue;
    ReplaySource source;
    HONE_ASSIGN_OR_RETURN(source.target, Target::Parse(summary.key.target));
    if (source.target.threads != options.threads) continue;
    HONE_ASSIGN_OR_RETURN(const ModelPlan plan,
                          LoadPlanAtTop(options.model, options.shapes, source.target));
    HONE_ASSIGN_OR_RETURN(source.tasks, ChooseTasks(options, plan));
    source.model_constant_bytes = ModelConstantBytes(plan);
    std::vector<std::string> keys;
    for (const TuningTask& task : source.tasks) keys.push_back(task.workload.Key());
    RecordFilter filter;
    filter.target = summary.key.target;
    filter.numerics = std::string(NumericsName(numerics));
    filter.codegen_epoch = kCodegenEpoch;
    StatusOr<RecordedRun> run =
        FindRecordedRun(store, filter, keys, static_cast<uint64_t>(options.seed));
    if (run.ok()) {
      source.run = *std::move(run);
      return source;
    }
    status = run.status();
  }
  return status;
}

// Says whether the replay made the run's proposals.
ExitCode PrintReplay(const RecordedRun& run, const ReplayMeasurer::Outcome& outcome,
                     const Console& console) {
  const int recorded = static_cast<int>(run.batches.size());
  console.out << "\nReplayed the run of " << run.run_id << ": " << outcome.same << " of "
              << recorded << " batches were proposed again just as they were.\n";
  if (outcome.same == recorded && outcome.difference.empty()) return ExitCode::kOk;
  if (!outcome.difference.empty()) {
    console.out << "From there on the proposals differ: " << outcome.difference << ".\n";
  }
  if (!outcome.never_measured.empty()) {
    console.out << "It ended at a candidate that was never measured:\n" << outcome.never_measured;
  }
  return ExitCode::kCheckFailed;
}

}  // namespace

StatusOr<ExitCode> ReplayTuning(const TuneOptions& options, Numerics numerics,
                                const std::string& database, const Clock& clock,
                                const Console& console) {
  if (!std::filesystem::exists(database)) {
    return absl::NotFoundError(
        absl::StrCat(database, ": no such database; tune without --replay first"));
  }
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteRecordStore> store,
                        SqliteRecordStore::Open({.path = database}));
  HONE_ASSIGN_OR_RETURN(ReplaySource source, FindRun(options, numerics, *store));
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<RecordStore> before,
                        RecordsBefore(*store, source.run));
  RecordFilter filter;
  filter.target = source.target.ToString();
  filter.numerics = std::string(NumericsName(numerics));
  filter.codegen_epoch = kCodegenEpoch;
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records, store->Query(filter));
  ReplayMeasurer measurer(records, source.run);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  TuningOptions tuning =
      TuningOptionsOf(options, source.target, numerics, source.model_constant_bytes);
  tuning.speed = source.run.speed;
  tuning.batches_max = static_cast<int>(source.run.batches.size());
  TuningSession session(std::move(source.tasks), tuning, *model, ReplayBuilds(), measurer,
                        before.get(), clock);
  HONE_RETURN_IF_ERROR(session.Run([&] { return measurer.ended(); }, [](const TuningState&) {}));
  HONE_RETURN_IF_ERROR(PrintTuning(options, tuning, session.state(),
                                   {.device = "from records", .unix_ms = clock.UnixMillis()},
                                   console));
  return PrintReplay(source.run, measurer.outcome(), console);
}

}  // namespace hone
