#include "cli/tune_command.h"

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/numerics.h"
#include "base/target.h"
#include "cli/default_paths.h"
#include "cli/interrupt.h"
#include "cli/numerics_option.h"
#include "cli/progress.h"
#include "cli/quantity.h"
#include "cli/shape_option.h"
#include "cli/tuning_output.h"
#include "cli/tuning_replay.h"
#include "cli/tuning_tasks.h"
#include "compiler/model_source.h"
#include "db/memory_record_store.h"
#include "db/open_records.h"
#include "db/postgres_session.h"
#include "device_agent/machine_probe.h"
#include "rpc/device_choice.h"
#include "rpc/farm_client.h"
#include "rpc/sibling_program.h"
#include "tuner/farm_tuning.h"
#include "tuner/measure/local_farm.h"
#include "tuner/tuning_progress.h"

namespace hone {
namespace {

// The tracker to use: the one named, or one started here with an agent of its own.
struct Farm {
  std::unique_ptr<LocalFarm> local;
  std::unique_ptr<FarmClient> client;
  pb::DeviceInfo device;
  Target target;
};

StatusOr<Farm> OpenFarm(const TuneOptions& options, const std::string& database) {
  Farm farm;
  std::string tracker = options.tracker;
  if (tracker.empty()) {
    LocalFarmOptions local;
    local.database = database;
    local.purpose = absl::StrCat("hone tune ", options.model);
    local.agent_args = {"--threads", absl::StrCat(options.threads)};
    HONE_ASSIGN_OR_RETURN(farm.local, LocalFarm::Start(local));
    tracker = farm.local->tracker();
  }
  HONE_ASSIGN_OR_RETURN(farm.client,
                        FarmClient::Connect({.tracker = tracker, .tls_dir = options.tls_dir}));
  HONE_ASSIGN_OR_RETURN(const FarmStatus status, farm.client->ListDevices());
  HONE_ASSIGN_OR_RETURN(farm.device, ChooseDevice(status.devices, options.device));
  HONE_ASSIGN_OR_RETURN(farm.target, Target::Parse(farm.device.target()));
  return farm;
}

// What is known already. A tracker elsewhere keeps its database to itself: nothing is known then.
StatusOr<std::unique_ptr<RecordStore>> OpenHistory(const TuneOptions& options,
                                                   const std::string& database) {
  std::error_code error;
  if (!options.tracker.empty() && !IsPostgresUrl(database) &&
      !std::filesystem::exists(database, error)) {
    return std::make_unique<MemoryRecordStore>();
  }
  return OpenRecords(database);
}

void PrintTrouble(const TuningState& state, const Console& console) {
  if (state.not_quiet * 4 > state.trials) {
    console.PrintWarning(absl::StrCat(
        "other work disturbed ", state.not_quiet, " of ", state.trials,
        " measurements throughout; times may be too long, and what is best may be another"));
  }
  for (const WorkloadState& workload : state.workloads) {
    if (workload.best_ns > 0 || workload.reason.empty()) continue;
    console.PrintWarning(absl::StrCat(workload.name, " was not tuned: ", workload.reason));
  }
}

}  // namespace

StatusOr<ExitCode> TuneModel(const TuneOptions& options, const Clock& clock,
                             const Console& console) {
  // Before any thread is started: later ones inherit that signals are counted, not obeyed.
  Interrupt interrupt;
  // What is wrong with the options, the model or the template is said before a farm is started for
  // it.
  HONE_ASSIGN_OR_RETURN(const Numerics numerics, ParseNumerics(options.numerics));
  if (options.tracker.empty() && !options.replay) {
    HONE_RETURN_IF_ERROR(CheckNumerics(numerics, ProbeThisMachine().target));
  }
  HONE_RETURN_IF_ERROR(LoadPlanAtTop(options.model, options.shapes, Target()).status());
  if (!options.template_file.empty()) {
    HONE_ASSIGN_OR_RETURN(const Sketch sketch, ReadTemplate(options.template_file));
    HONE_RETURN_IF_ERROR(CheckTemplate(sketch, numerics));
  }
  HONE_RETURN_IF_ERROR(CheckReportCanBeWritten(options.report));
  const std::string database = options.db.empty() ? DefaultDatabasePath(std::getenv) : options.db;
  if (options.replay) return ReplayTuning(options, numerics, database, clock, console);
  if (options.db.empty()) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(database).parent_path(), error);
  }
  HONE_ASSIGN_OR_RETURN(Farm farm, OpenFarm(options, database));
  HONE_RETURN_IF_ERROR(CheckNumerics(numerics, farm.target));
  HONE_ASSIGN_OR_RETURN(const ModelPlan plan,
                        LoadPlanAtTop(options.model, options.shapes, farm.target));
  HONE_ASSIGN_OR_RETURN(std::vector<TuningTask> tasks, ChooseTasks(options, plan));
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<RecordStore> history, OpenHistory(options, database));
  TuningOptions tuning = TuningOptionsOf(options, farm.target, numerics, ModelConstantBytes(plan));
  tuning.time_max_ms = static_cast<int64_t>(options.minutes * 60000);
  tuning.device = options.device;
  tuning.priority = static_cast<int>(options.priority);
  tuning.speed = farm.device.speed();
  const char* user = std::getenv("USER");
  tuning.client = ClientName(user == nullptr ? "" : user);
  tuning.run_id = absl::StrCat(tuning.client, "/", clock.UnixMillis());
  const TuningLimits limits = {
      .trials = options.trials, .minutes = options.minutes, .threads = options.threads};
  ProgressDisplay display(console, clock);
  const StatusOr<TuningState> state = TuneOnFarm(
      {.build_worker = SiblingProgram("hone-build-worker"),
       .measures_here = farm.local != nullptr,
       .threads = options.threads},
      *farm.client, std::move(tasks), tuning, history.get(), clock,
      [&] { return interrupt.Requested(); },
      [&](const TuningState& state) { display.Update(ProgressOf(state, limits)); });
  display.End();
  if (!state.ok() && farm.local != nullptr) HONE_RETURN_IF_ERROR(farm.local->Check());
  HONE_RETURN_IF_ERROR(state.status());
  PrintTrouble(*state, console);
  HONE_RETURN_IF_ERROR(PrintTuning(options, tuning, *state,
                                   {.device = farm.device.name(),
                                    .unix_ms = clock.UnixMillis(),
                                    .interrupted = interrupt.Requested()},
                                   console));
  const std::string db_flag = options.db.empty() ? "" : absl::StrCat(" --db ", options.db);
  const std::string threads =
      options.threads == 1 ? "" : absl::StrCat(" --threads ", options.threads);
  const std::string output =
      std::filesystem::path(options.model).replace_extension(".so").filename().string();
  const std::string class_flag =
      numerics == Numerics::kFp32 ? "" : absl::StrCat(" --numerics ", options.numerics);
  std::string shapes;
  for (const std::string& shape : options.shapes) absl::StrAppend(&shapes, " --shape ", shape);
  if (const CodeTraffic traffic = farm.client->traffic();
      !options.tracker.empty() && traffic.named_bytes > 0) {
    console.out << "\nof " << FormatBytes(traffic.named_bytes) << " of code, "
                << FormatBytes(traffic.uploaded_bytes)
                << " had to be sent to the farm; the rest was there\n";
  }
  if (interrupt.Requested()) {
    console.out
        << "\nStopped; all that was measured is kept. The same command goes on from here.\n";
  }
  console.out << "\nNext: hone compile " << options.model << db_flag << threads << class_flag
              << shapes << " -o " << output << "\n";
  return interrupt.Requested() ? ExitCode::kInterrupted : ExitCode::kOk;
}

Command MakeTuneCommand() {
  auto options = std::make_shared<TuneOptions>();
  return {
      .name = "tune",
      .group = CommandGroup::kTune,
      .summary = "find the fastest way to compute each kernel of a model on a device",
      .description =
          "Reads an ONNX file, derives many ways to compute each of its kernels, times the "
          "promising ones on a real device and writes every measurement to the database. hone "
          "compile uses the best of them.\n\nWithout --tracker, this machine measures. Interrupted "
          "with Ctrl-C, it keeps all that was measured; the same command goes on from there.\n\n"
          "A template is a schedule with holes in hone's text form, written by a person: it "
          "replaces the derived space for the kernels it fits.",
      .options =
          {{"MODEL", "", "the ONNX file", &options->model, true},
           {"--trials", "N", "candidates to measure for each kernel, at most", &options->trials,
            false, 1},
           {"--minutes", "M", "stop after so long; 0: when trials or gains end", &options->minutes,
            false, 0},
           {"--db", "FILE", "the database; default: $HONE_DB, or the one in your home folder",
            &options->db},
           {"--threads", "N", "threads that a kernel may use", &options->threads, false, 1},
           NumericsOption(&options->numerics),
           {"--template", "FILE", "search this sketch instead of the derived space",
            &options->template_file},
           {"--kernel", "PART", "only kernels whose name contains this", &options->kernel},
           ShapeOption(&options->shapes),
           {"--tracker", "ADDR",
            "a farm's tracker, unix:/path or host:port, several with commas; default: "
            "$HONE_TRACKER, or this machine alone",
            &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or where "
            "`hone join` puts them",
            &options->tls_dir},
           {"--device", "SELECTOR",
            "devices of the farm: a name, or what they must be, as in "
            "arch=aarch64,board=rpi4|rpi5,cores>=4,!shared",
            &options->device},
           {"--priority", "N",
            "more urgent than your other work, from -100 to 100; a step is worth a minute "
            "of waiting",
            &options->priority},
           {"--seed", "N", "of everything that is left to chance", &options->seed, false, 0},
           {"--report", "FILE.html", "write what was seen as a page with curves", &options->report},
           {"--random", "",
            "no search: measure candidates at random, to record what a space is like",
            &options->random},
           {"--replay", "",
            "no device: repeat the latest run of this command from its records, and say "
            "whether it proposes the same",
            &options->replay}},
      .examples = {"hone tune resnet18.onnx", "hone tune model.onnx --minutes 5 --threads 2",
                   "hone tune model.onnx --report tuned.html",
                   "hone tune model.onnx --kernel conv3x3 --template my.sketch"},
      .next = "hone compile MODEL.onnx -o model.so uses what was found.",
      .run =
          [options](const Console& console) {
            if (options->tracker.empty()) options->tracker = DefaultTracker(std::getenv);
            options->tls_dir = TlsDirFor(options->tracker, options->tls_dir, std::getenv);
            return TuneModel(*options, SystemClock(), console);
          },
  };
}

}  // namespace hone
