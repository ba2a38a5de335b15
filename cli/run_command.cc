#include "cli/run_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "cli/compiled_model.h"
#include "cli/npy.h"
#include "cli/tensor_file.h"

namespace hone {
namespace {

std::string InputList(const CompiledModel& model) {
  std::vector<std::string> inputs;
  for (int i = 0; i < model.InputCount(); ++i) {
    inputs.push_back(absl::StrCat("'", model.InputName(i), "' ", ToString(model.InputType(i))));
  }
  return absl::StrJoin(inputs, ", ");
}

// The file of each input, in the model's order.
StatusOr<std::vector<std::string>> MatchInputs(const CompiledModel& model,
                                               const std::vector<std::string>& given) {
  std::vector<std::string> files(model.InputCount());
  int next = 0;
  for (const std::string& input : given) {
    int index = -1;
    std::string file = input;
    // A name may itself hold "=", and so may a file: the longest name that fits wins.
    for (size_t at = input.rfind('='); at != std::string::npos && at > 0 && index < 0;
         at = input.rfind('=', at - 1)) {
      index = model.FindInput(input.substr(0, at));
      if (index >= 0) file = input.substr(at + 1);
    }
    if (index < 0) {
      while (next < model.InputCount() && !files[next].empty()) ++next;
      index = next;
    }
    if (index >= model.InputCount()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--input ", input, " is one too many: the model takes ", InputList(model)));
    }
    if (!files[index].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("two files for the input '", model.InputName(index), "'"));
    }
    files[index] = file;
  }
  for (int i = 0; i < model.InputCount(); ++i) {
    if (files[i].empty()) {
      return absl::InvalidArgumentError(absl::StrCat("no --input for '", model.InputName(i),
                                                     "'; the model takes ", InputList(model)));
    }
  }
  return files;
}

struct Summary {
  double least = 0;
  double mean = 0;
  double most = 0;
};

Summary Summarise(const std::vector<double>& values) {
  Summary summary = {.least = values[0], .most = values[0]};
  for (const double value : values) {
    summary.least = std::min(summary.least, value);
    summary.most = std::max(summary.most, value);
    summary.mean += value / static_cast<double>(values.size());
  }
  return summary;
}

constexpr int kImagenetClasses = 1000;

void PrintOutput(const std::string& name, const TensorType& type, const Tensor& tensor,
                 const std::vector<std::string>& labels, const Console& console) {
  const std::vector<double> values = tensor.ToDoubles();
  console.out << name << ": " << ToString(type);
  if (!values.empty()) {
    const Summary summary = Summarise(values);
    console.out << absl::StrFormat(", min %.4g, mean %.4g, max %.4g", summary.least, summary.mean,
                                   summary.most);
  }
  console.out << "\n";
  if (values.size() != kImagenetClasses) return;
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 5, order.end(),
                    [&](int a, int b) { return values[a] > values[b]; });
  for (int i = 0; i < 5; ++i) {
    const auto at = static_cast<size_t>(order[i]);
    console.out << absl::StrFormat("  %5d  %10.4f%s\n", order[i], values[at],
                                   at < labels.size() ? "  " + labels[at] : "");
  }
}

// A file name for an output of any name.
std::string FileName(const std::string& name) {
  std::string file = name;
  for (char& c : file) {
    if (c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < ' ') c = '_';
  }
  const bool hidden = file.empty() || file[0] == '.';
  return absl::StrCat(hidden ? "_" : "", file, ".npy");
}

StatusOr<std::vector<std::string>> ReadLabels(const std::string& path) {
  if (path.empty()) return std::vector<std::string>();
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<std::string> labels = absl::StrSplit(text, '\n');
  for (std::string& label : labels) {
    if (!label.empty() && label.back() == '\r') label.pop_back();
  }
  return labels;
}

Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": cannot make this folder: ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<ExitCode> RunModel(const RunOptions& options, const Console& console) {
  const SystemClock clock;
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelPlace> place,
                        OpenModel(options.model, options.place, /*profile=*/false, clock, console));
  CompiledModel& model = place->model();
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> files, MatchInputs(model, options.inputs));
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> labels, ReadLabels(options.labels));
  std::vector<Tensor> tensors(model.InputCount());
  for (int i = 0; i < model.InputCount(); ++i) {
    if (IsPicture(files[i])) {
      // One picture: a model for a range of them takes one, any other says what it wants.
      std::vector<int64_t> shape = model.InputType(i).shape;
      if (!shape.empty()) shape[0] = 1;
      model.SetInputShape(i, shape).IgnoreError();
      HONE_ASSIGN_OR_RETURN(tensors[i],
                            ReadPicture(files[i], model.InputName(i), model.InputType(i),
                                        {.preprocess = options.preprocess, .bgr = options.bgr}));
    } else {
      HONE_ASSIGN_OR_RETURN(tensors[i], ReadTensorFile(files[i]));
    }
  }
  HONE_RETURN_IF_ERROR(model.AdoptShapes(tensors, files));
  HONE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, place->Run(tensors));
  if (!options.output_dir.empty()) HONE_RETURN_IF_ERROR(MakeFolder(options.output_dir));
  for (int i = 0; i < model.OutputCount(); ++i) {
    const Tensor& tensor = outputs[static_cast<size_t>(i)];
    PrintOutput(model.OutputName(i), model.OutputType(i), tensor, labels, console);
    if (options.output_dir.empty()) continue;
    const std::string path = absl::StrCat(options.output_dir, "/", FileName(model.OutputName(i)));
    HONE_RETURN_IF_ERROR(WriteFile(path, SerializeNpy(tensor)));
    console.out << "  written to " << path << "\n";
  }
  return ExitCode::kOk;
}

Command MakeRunCommand() {
  auto options = std::make_shared<RunOptions>();
  return {
      .name = "run",
      .group = CommandGroup::kRun,
      .summary = "feed files to a compiled model and show what comes out",
      .description =
          "Runs a model that hone compile made, once. Inputs are numpy arrays (.npy), ONNX tensors "
          "(.pb) or pictures (.png, .jpg, .bmp). Several inputs are given in the model's order, or "
          "as NAME=FILE.\n\nA picture is made to fit the size the model takes; --preprocess says "
          "how: "
          "imagenet (the middle, each channel normalised by ImageNet's mean and deviation), 0-255 "
          "(the middle, plain values), 0-1 (all of it, values from 0 to 1) or luma (all of it, "
          "brightness alone, 0 to 1)."
          "\n\nPrints each output's type and range, and the five best classes where there are "
          "1000."
          "\n\nWith --device it runs on a device of a farm, for which it has to be compiled; the "
          "outputs come back here.",
      .options = WithPlace(
          {{"MODEL", "", "the model.so that hone compile wrote", &options->model, true},
           {"--input", "[NAME=]FILE", "an input; repeat it for more", &options->inputs},
           {"--preprocess", "KIND", "imagenet, 0-1, 0-255 or luma; for pictures",
            &options->preprocess},
           {"--bgr", "", "pictures go in blue channel first, as Caffe's networks want it",
            &options->bgr},
           {"--output", "DIR", "write each output there, as NAME.npy", &options->output_dir},
           {"--labels", "FILE", "class names, one a line", &options->labels}},
          &options->place),
      .examples = {"hone run model.so --input cat.png --preprocess imagenet --output out",
                   "hone run model.so --input ids=ids.npy --input mask=mask.npy",
                   "hone run model.so --input cat.png --device pi-3 --tracker farm:7710"},
      .next =
          "hone check MODEL.so --data DIR compares with expected outputs; hone bench MODEL.so "
          "takes its time.",
      .run = [options](const Console& console) { return RunModel(*options, console); },
  };
}

}  // namespace hone
