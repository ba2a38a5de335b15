#include "cli/check_command.h"

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "cli/compiled_model.h"
#include "cli/tensor_file.h"
#include "compiler/import/tensor_proto.h"

namespace hone {
namespace {

constexpr double kRtol = 1e-3;
constexpr double kAtol = 1e-5;
constexpr double kHalfTolerance = 2e-2;

std::string DataFile(const std::string& folder, absl::string_view kind, int index) {
  return absl::StrCat(folder, "/", kind, "_", index, ".pb");
}

// Reads input_<k>.pb for every input. Files that name another input of the model are for that one.
Status SetInputs(const std::string& folder, CompiledModel& model) {
  for (int k = 0; k < model.InputCount(); ++k) {
    const std::string path = DataFile(folder, "input", k);
    HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    HONE_ASSIGN_OR_RETURN(const NamedTensor input, ParseTensorProto(bytes, path));
    const int named = model.FindInput(input.name);
    const int index = named >= 0 ? named : k;
    const TensorType given = {.dtype = input.tensor.dtype, .shape = input.tensor.shape};
    const TensorType wanted = model.InputType(index);
    if (given.dtype != wanted.dtype || given.shape != wanted.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": holds ", given.ToString(), ", but the model's input '",
                       model.InputName(index), "' is ", wanted.ToString()));
    }
    HONE_RETURN_IF_ERROR(model.SetInput(index, input.tensor));
  }
  return absl::OkStatus();
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

}  // namespace

StatusOr<ExitCode> CheckModel(const CheckOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(
      CompiledModel model,
      CompiledModel::Load(options.model, {.threads = static_cast<int>(options.threads)}));
  if (!std::filesystem::is_directory(options.data_dir)) {
    return absl::NotFoundError(
        absl::StrCat(options.data_dir,
                     ": no such folder; --data names one with input_0.pb and "
                     "output_0.pb in it"));
  }
  HONE_RETURN_IF_ERROR(SetInputs(options.data_dir, model));
  HONE_RETURN_IF_ERROR(model.Run());

  const Tolerance tolerance = ToleranceFor(options, model);
  bool within = true;
  for (int k = 0; k < model.OutputCount(); ++k) {
    const std::string path = DataFile(options.data_dir, "output", k);
    HONE_ASSIGN_OR_RETURN(const Tensor expected, ReadTensorFile(path));
    StatusOr<TensorDifference> compared = CompareTensors(model.GetOutput(k), expected, tolerance);
    if (!compared.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " for '", model.OutputName(k), "': ", compared.status().message()));
    }
    const TensorDifference& difference = *compared;
    console.out << absl::StrFormat("%s %s: largest error %.3g absolute, %.3g relative",
                                   difference.outside == 0 ? "ok  " : "FAIL", model.OutputName(k),
                                   difference.largest_absolute, difference.largest_relative);
    if (difference.outside != 0) {
      within = false;
      console.out << absl::StrFormat(
          "; %d of %d values outside, the worst at %d: %.6g instead of %.6g", difference.outside,
          expected.ElementCount(), difference.worst, difference.worst_actual,
          difference.worst_expected);
    }
    console.out << "\n";
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
          "\n\nWithout --rtol and --atol: 1e-3 and 1e-5; for a model that gives f16, 2e-2 both.",
      .options = {{"MODEL", "", "the model.so that hone compile wrote", &options->model, true},
                  {"--data", "DIR", "the folder with inputs and expected outputs",
                   &options->data_dir, true},
                  {"--rtol", "X", "relative tolerance; negative: by the model's type",
                   &options->rtol},
                  {"--atol", "X", "absolute tolerance; negative: by the model's type",
                   &options->atol},
                  {"--threads", "N", "threads to use; 0: as many as it was tuned for",
                   &options->threads, false, 0}},
      .examples = {"hone check model.so --data test_data_set_0",
                   "hone check model.so --data test_data_set_0 --rtol 1e-2 --atol 1e-4"},
      .next = "hone bench MODEL.so",
      .run = [options](const Console& console) { return CheckModel(*options, console); },
  };
}

}  // namespace hone
