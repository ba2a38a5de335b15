#include "cli/compile_command.h"

#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/numerics.h"
#include "cli/default_paths.h"
#include "cli/numerics_option.h"
#include "cli/quantity.h"
#include "cli/shape_option.h"
#include "cli/table.h"
#include "compiler/compile.h"
#include "compiler/graph/plan_for_ranges.h"
#include "compiler/model_source.h"
#include "compiler/package/build_package.h"
#include "db/memory_record_store.h"
#include "db/open_records.h"
#include "db/postgres_session.h"
#include "device_agent/machine_probe.h"
#include "rpc/build_pool.h"
#include "rpc/record_client.h"
#include "rpc/sibling_program.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/space/derive.h"
#include "tuner/transfer/schedule_lookup.h"

namespace hone {
namespace {

// What compiles where nothing else does.
FoundSchedule PlainLoops(const PlanKernel& kernel) {
  return {"plain loops",
          absl::StrCat("schedule/1\n", BoundaryLayoutLines(kernel.workload, kernel.layouts))};
}

std::future<pb::BuildReply> Build(BuildPool& pool, const PlanKernel& kernel,
                                  const FoundSchedule& choice, const Target& target,
                                  Numerics numerics, uint64_t id) {
  pb::BuildRequest request;
  request.set_id(id);
  request.set_workload(kernel.workload.ToString());
  request.set_schedule(choice.schedule);
  request.set_target(target.ToString());
  request.mutable_options()->set_numerics(std::string(NumericsName(numerics)));
  return pool.Build(std::move(request));
}

// One artifact a kernel. What does not compile falls back to the default, then to plain loops.
StatusOr<std::vector<pb::Artifact>> BuildKernels(BuildPool& pool, const ModelPlan& plan,
                                                 const ScheduleLookup& lookup, const Target& target,
                                                 Numerics numerics, const Console& console,
                                                 std::vector<FoundSchedule>* choices) {
  std::vector<std::future<pb::BuildReply>> replies;
  for (size_t k = 0; k < plan.kernels.size(); ++k) {
    replies.push_back(Build(pool, plan.kernels[k], (*choices)[k], target, numerics, k));
  }
  std::vector<pb::Artifact> artifacts;
  for (size_t k = 0; k < plan.kernels.size(); ++k) {
    const PlanKernel& kernel = plan.kernels[k];
    FoundSchedule& choice = (*choices)[k];
    pb::BuildReply reply = replies[k].get();
    while (!reply.has_artifact()) {
      const std::string why = reply.failure().message();
      if (choice.source == "plain loops") {
        return absl::InternalError(absl::StrCat("kernel ", kernel.name, " cannot be compiled for ",
                                                target.cpu, ": ", why));
      }
      console.PrintWarning(absl::StrCat("kernel ", kernel.name, ": its ", choice.source,
                                        " schedule does not compile (", why, ")"));
      if (choice.source != "default") {
        HONE_ASSIGN_OR_RETURN(choice, lookup.Default(AtTop(kernel)));
      } else {
        choice = PlainLoops(kernel);
      }
      reply = Build(pool, kernel, choice, target, numerics, k).get();
    }
    artifacts.push_back(std::move(*reply.mutable_artifact()));
  }
  return artifacts;
}

std::string Report(const ModelPlan& plan, const std::vector<FoundSchedule>& choices, int width) {
  std::vector<int> calls(plan.kernels.size(), 0);
  for (const PlanCall& call : plan.calls) ++calls[call.kernel];
  Table table({{"kernel"}, {"calls", Align::kRight}, {"schedule"}, {"expected", Align::kRight}});
  double total_ns = 0;
  for (size_t k = 0; k < choices.size(); ++k) {
    const FoundSchedule& choice = choices[k];
    total_ns += calls[k] * choice.expected_ns;
    table.AddRow({plan.kernels[k].name, absl::StrCat(calls[k]), choice.source,
                  choice.expected_ns > 0
                      ? absl::StrCat(choice.measured ? "" : "~", FormatNanos(choice.expected_ns))
                      : ""});
  }
  table.AddRule();
  table.AddRow({"all", absl::StrCat(plan.calls.size()), "", FormatNanos(total_ns)});
  return table.Render(width);
}

// All that a farm knows which code of this version can use.
StatusOr<std::unique_ptr<RecordStore>> FetchKnown(const std::string& tracker,
                                                  const std::string& tls_dir) {
  pb::FindRecordsRequest request;
  request.set_codegen_epoch(kCodegenEpoch);
  request.set_failure(pb::OK);
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records,
                        FetchRecords(tracker, request, tls_dir));
  auto store = std::make_unique<MemoryRecordStore>();
  HONE_RETURN_IF_ERROR(store->Append(records));
  return store;
}

}  // namespace

StatusOr<ExitCode> CompileModel(const CompileCommandOptions& options, const Console& console) {
  Target target = ProbeThisMachine().target;
  HONE_ASSIGN_OR_RETURN(const Numerics numerics, ParseNumerics(options.numerics));
  HONE_RETURN_IF_ERROR(CheckNumerics(numerics, target));
  target.threads = static_cast<int>(options.threads);
  HONE_ASSIGN_OR_RETURN(const ModelPlan plan, LoadPlan(options.model, options.shapes, target));
  const std::string database = options.db.empty() ? DefaultDatabasePath(std::getenv) : options.db;
  std::unique_ptr<RecordStore> store;
  if (!options.tracker.empty()) {
    HONE_ASSIGN_OR_RETURN(
        store,
        FetchKnown(options.tracker, TlsDirFor(options.tracker, options.tls_dir, std::getenv)));
  } else if (!options.db.empty() || IsPostgresUrl(database) || std::filesystem::exists(database)) {
    HONE_ASSIGN_OR_RETURN(store, OpenRecords(database));
  }
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  ScheduleLookup lookup(store.get(), *model, target, numerics);
  std::vector<FoundSchedule> choices;
  int tuned = 0;
  for (const PlanKernel& kernel : plan.kernels) {
    // A range of sizes is tuned at its top.
    HONE_ASSIGN_OR_RETURN(FoundSchedule found, lookup.Find(AtTop(kernel)));
    tuned += found.measured;
    choices.push_back(std::move(found));
  }
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<BuildPool> pool,
                        BuildPool::Start({.program = SiblingProgram("hone-build-worker"),
                                          .workers = std::max(1, target.cores)}));
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Artifact> artifacts,
                        BuildKernels(*pool, plan, lookup, target, numerics, console, &choices));
  HONE_ASSIGN_OR_RETURN(const std::string package, BuildPackage(plan, artifacts, target));
  const std::string output =
      options.output.empty()
          ? std::filesystem::path(options.model).replace_extension(".so").filename().string()
          : options.output;
  HONE_RETURN_IF_ERROR(WriteFile(output, package));
  console.out << Report(plan, choices, console.out_is_tty ? console.width : 0);
  console.out << "\n"
              << tuned << " of " << choices.size() << " kernels tuned; wrote " << output << "\n";
  if (tuned < static_cast<int>(choices.size())) {
    std::string tune = absl::StrCat("hone tune ", options.model);
    if (!options.db.empty()) absl::StrAppend(&tune, " --db ", options.db);
    if (!options.tracker.empty()) absl::StrAppend(&tune, " --tracker ", options.tracker);
    if (options.threads != 1) absl::StrAppend(&tune, " --threads ", options.threads);
    if (numerics != Numerics::kFp32) absl::StrAppend(&tune, " --numerics ", options.numerics);
    for (const std::string& shape : options.shapes) absl::StrAppend(&tune, " --shape ", shape);
    console.out << "Next: " << tune << " makes the others faster; hone bench " << output
                << " takes the time.\n";
  } else {
    console.out << "Next: hone bench " << output << "\n";
  }
  return ExitCode::kOk;
}

Command MakeCompileCommand() {
  auto options = std::make_shared<CompileCommandOptions>();
  return {
      .name = "compile",
      .group = CommandGroup::kTune,
      .summary = "make a shared object of a model, with the best schedules known",
      .description =
          "Compiles an ONNX file for this machine into one shared object with the weights inside, "
          "which hone run and the C library run. Each kernel takes the fastest schedule that the "
          "database has for exactly this kernel and machine, in this numerics class or a stricter "
          "one. Where it has none: the best of the same reduction with another epilogue, or of "
          "like sizes (a neighbour), if what was learnt from all records says that it is faster "
          "than the default, which the analytic model picks. The table says which is which, and "
          "what it should cost (measured, or ~ estimated).",
      .options =
          {{"MODEL", "", "the ONNX file", &options->model, true},
           {"-o,--output", "FILE", "what to write; default: the model's name with .so",
            &options->output},
           {"--db", "FILE",
            "take the records of this database; default, without a farm: $HONE_DB, or the one in "
            "your home folder",
            &options->db},
           {"--tracker", "ADDRESS",
            "take the records of this farm: host:port, or unix:/path, several with commas; "
            "default, without --db: $HONE_TRACKER",
            &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or where "
            "`hone join` puts them",
            &options->tls_dir},
           {"--threads", "N", "threads that a kernel may use; as tuned", &options->threads, false,
            1},
           NumericsOption(&options->numerics),
           ShapeOption(&options->shapes)},
      .examples = {"hone compile resnet18.onnx -o resnet18.so"},
      .next = "hone run model.so --input FILE, or hone bench model.so.",
      .run =
          [options](const Console& console) {
            // Where hone tune puts them.
            if (options->tracker.empty() && options->db.empty()) {
              options->tracker = DefaultTracker(std::getenv);
            }
            return CompileModel(*options, console);
          },
  };
}

}  // namespace hone
