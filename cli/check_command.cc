#include "cli/check_command.h"

#include <filesystem>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "cli/compiled_model.h"
#include "cli/shape_option.h"
#include "cli/tensor_file.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "compiler/import/tensor_proto.h"
#include "compiler/shape_options.h"

namespace hone {
namespace {

constexpr double kRtol = 1e-3;
constexpr double kAtol = 1e-5;
constexpr double kHalfTolerance = 2e-2;
constexpr uint64_t kSeed = 1;  // of the oracle's inputs

std::string DataFile(const std::string& folder, absl::string_view kind, int index) {
  return absl::StrCat(folder, "/", kind, "_", index, ".pb");
}

// Reads input_<k>.pb for every input. Files that name another input of the model are for that one.
StatusOr<std::vector<Tensor>> ReadInputs(const std::string& folder, CompiledModel& model) {
  std::vector<std::string> paths(model.InputCount());
  std::vector<Tensor> tensors(model.InputCount());
  for (int k = 0; k < model.InputCount(); ++k) {
    const std::string path = DataFile(folder, "input", k);
    HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    HONE_ASSIGN_OR_RETURN(NamedTensor input, ParseTensorProto(bytes, path));
    const int named = model.FindInput(input.name);
    const int index = named >= 0 ? named : k;
    paths[index] = path;
    tensors[index] = std::move(input.tensor);
  }
  HONE_RETURN_IF_ERROR(model.AdoptShapes(tensors, paths));
  return tensors;
}

Tolerance ToleranceFor(const CheckOptions& options, const CompiledModel& model) {
  bool half = false;
  for (int i = 0; i < model.OutputCount(); ++i) {
    const DType dtype = model.OutputType(i).dtype;
    half |= dtype == DType::kF16 || dtype == DType::kBF16;
  }
  return {.rtol = options.rtol >= 0 ? options.rtol
                  : half            ? kHalfTolerance
                                    : kRtol,
          .atol = options.atol >= 0 ? options.atol
                  : half            ? kHalfTolerance
                                    : kAtol};
}

struct Expected {
  Tensor value;
  std::string source;  // for errors: a file
};

// What goes in, and what should come out.
struct Comparison {
  std::vector<Tensor> inputs;
  std::vector<Expected> outputs;
};

StatusOr<Comparison> ComparisonFromFolder(const std::string& folder, CompiledModel& model) {
  if (!std::filesystem::is_directory(folder)) {
    return absl::NotFoundError(absl::StrCat(folder,
                                            ": no such folder; --data names one with input_0.pb "
                                            "and output_0.pb in it"));
  }
  Comparison comparison;
  HONE_ASSIGN_OR_RETURN(comparison.inputs, ReadInputs(folder, model));
  for (int k = 0; k < model.OutputCount(); ++k) {
    const std::string path = DataFile(folder, "output", k);
    HONE_ASSIGN_OR_RETURN(Tensor value, ReadTensorFile(path));
    comparison.outputs.push_back({std::move(value), path});
  }
  return comparison;
}

// The same with random inputs and the oracle, which shares nothing with schedules, lowering and
// code generation.
StatusOr<Comparison> ComparisonByOracle(const CheckOptions& options, CompiledModel& model,
                                        const Console& console) {
  HONE_ASSIGN_OR_RETURN(const ShapeOptions shapes, ParseShapeOptions(options.shapes));
  HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnxFile(options.against, shapes.import));
  HONE_ASSIGN_OR_RETURN(ModelPlan plan, PlanModel(std::move(graph), {}));
  std::map<std::string, Tensor> inputs;
  for (int index : plan.inputs) {
    const int input = model.FindInput(plan.tensors[index].name);
    if (input >= 0) HONE_RETURN_IF_ERROR(model.SetInputShape(input, plan.tensors[index].shape));
  }
  Comparison comparison;
  for (int i = 0; i < model.InputCount(); ++i) {
    comparison.inputs.push_back(model.SeededInput(i, kSeed));
    inputs[model.InputName(i)] = comparison.inputs.back();
  }
  console.err << "computing the expected outputs by the oracle; this takes a while" << std::endl;
  using Outputs = std::map<std::string, Tensor>;
  HONE_ASSIGN_OR_RETURN(Outputs outputs, EvaluatePlan(plan, inputs));
  for (int k = 0; k < model.OutputCount(); ++k) {
    auto found = outputs.find(model.OutputName(k));
    if (found == outputs.end()) {
      return absl::InvalidArgumentError(absl::StrCat(options.against, ": has no output '",
                                                     model.OutputName(k), "'; was ", options.model,
                                                     " compiled from it?"));
    }
    comparison.outputs.push_back({std::move(found->second), options.against});
  }
  return comparison;
}

StatusOr<Comparison> PrepareCheck(const CheckOptions& options, CompiledModel& model,
                                  const Console& console) {
  if (options.data_dir.empty() == options.against.empty()) {
    return absl::InvalidArgumentError(
        "compare with what? give either --data DIR, a folder with inputs and expected outputs, or "
        "--against MODEL.onnx");
  }
  if (!options.data_dir.empty()) return ComparisonFromFolder(options.data_dir, model);
  return ComparisonByOracle(options, model, console);
}

// One line on an output; true when all of it is within the tolerance.
StatusOr<bool> ReportOutput(const std::string& name, const Tensor& actual, const Expected& expected,
                            const Tolerance& tolerance, const Console& console) {
  StatusOr<TensorDifference> compared = CompareTensors(actual, expected.value, tolerance);
  if (!compared.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(expected.source, " for '", name, "': ", compared.status().message()));
  }
  const TensorDifference& difference = *compared;
  console.out << absl::StrFormat("%s %s: largest error %.3g absolute, %.3g relative",
                                 difference.outside == 0 ? "ok  " : "FAIL", name,
                                 difference.largest_absolute, difference.largest_relative);
  if (difference.outside != 0) {
    console.out << absl::StrFormat(
        "; %d of %d values outside, the worst at %d: %.6g instead of %.6g", difference.outside,
        expected.value.ElementCount(), difference.worst, difference.worst_actual,
        difference.worst_expected);
  }
  console.out << "\n";
  return difference.outside == 0;
}

}  // namespace

StatusOr<ExitCode> CheckModel(const CheckOptions& options, const Console& console) {
  const SystemClock clock;
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelPlace> place,
                        OpenModel(options.model, options.place, /*profile=*/false, clock, console));
  CompiledModel& model = place->model();
  HONE_ASSIGN_OR_RETURN(const Comparison comparison, PrepareCheck(options, model, console));
  HONE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, place->Run(comparison.inputs));
  const Tolerance tolerance = ToleranceFor(options, model);
  bool within = true;
  for (int k = 0; k < model.OutputCount(); ++k) {
    HONE_ASSIGN_OR_RETURN(
        const bool output_within,
        ReportOutput(model.OutputName(k), outputs[k], comparison.outputs[k], tolerance, console));
    within &= output_within;
  }
  console.out << absl::StrFormat("%s rtol %g, atol %g\n", within ? "within" : "outside",
                                 tolerance.rtol, tolerance.atol);
  return within ? ExitCode::kOk : ExitCode::kCheckFailed;
}

Command MakeCheckCommand() {
  auto options = std::make_shared<CheckOptions>();
  return {
      .name = "check",
      .group = CommandGroup::kRun,
      .summary = "compare a compiled model with expected outputs",
      .description =
          "Runs a model that hone compile made on the inputs of a folder in ONNX's test-data "
          "layout (input_0.pb, output_0.pb, ...) and prints the largest error of each output. Exit "
          "code 1 when a value is farther from the expected one than atol + rtol * |expected|."
          "\n\nWith --against instead of --data, inputs are random, and the expected outputs are "
          "what hone's oracle computes from the ONNX file: plain loops, straight from what each "
          "operator means, sharing nothing with the compiler's way."
          "\n\nWith --device it runs on a device of a farm, for which it has to be compiled, and "
          "what "
          "comes back is compared here.\n\nWithout --rtol and --atol: 1e-3 and 1e-5; for a model "
          "that gives f16, 2e-2 both.",
      .options = WithPlace(
          {{"MODEL", "", "the model.so that hone compile wrote", &options->model, true},
           {"--data", "DIR", "the folder with inputs and expected outputs", &options->data_dir},
           {"--against", "MODEL.onnx", "the model it was compiled from: ask the oracle",
            &options->against},
           ShapeOption(&options->shapes),
           {"--rtol", "X", "relative tolerance; negative: by the model's type", &options->rtol},
           {"--atol", "X", "absolute tolerance; negative: by the model's type", &options->atol}},
          &options->place),
      .examples = {"hone check model.so --data test_data_set_0",
                   "hone check model.so --against model.onnx",
                   "hone check model.so --against model.onnx --device pi-3 --tracker farm:7710"},
      .next = "hone bench MODEL.so",
      .run = [options](const Console& console) { return CheckModel(*options, console); },
  };
}

}  // namespace hone
