// CompiledModel: runtime/hone.h as the commands use it, with Status, Tensor and lifetimes. It adds
// nothing to what the C library does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/tensor_file.h"
#include "compiler/ir/tensor.h"
#include "runtime/hone.h"

namespace hone {

// The error of a C function, under the code that gives the right exit code.
Status StatusOf(const hone_error& error);

class CompiledModel {
 public:
  struct Options {
    int threads = 0;  // 0: the model's own choice
    bool profile = false;
    bool describe = false;  // only asked what it is: takes no values, and does not run
  };
  static StatusOr<CompiledModel> Load(const std::string& path, const Options& options);

  int InputCount() const { return hone_model_input_count(model_.get()); }
  int OutputCount() const { return hone_model_output_count(model_.get()); }
  std::string InputName(int index) const { return Input(index).name; }
  std::string OutputName(int index) const { return Output(index).name; }
  TensorType InputType(int index) const { return TypeOf(Input(index)); }
  TensorType OutputType(int index) const { return TypeOf(Output(index)); }
  // -1 if there is no input of that name.
  int FindInput(const std::string& name) const;

  Status SetInput(int index, const Tensor& tensor);
  // For a model of open sizes; the sizes that it has fit every model.
  Status SetInputShape(int index, const std::vector<int64_t>& shape);
  // Gives all inputs the shapes of these values, and checks that they are what it takes. Errors
  // begin with the input's source.
  Status AdoptShapes(const std::vector<Tensor>& tensors, const std::vector<std::string>& sources);
  // Random values for an input, which depend on the seed and the index alone.
  Tensor SeededInput(int index, uint64_t seed) const;
  Status Run();
  Tensor GetOutput(int index) const;

  int Threads() const { return hone_model_threads(model_.get()); }
  std::string Name() const { return hone_model_name(model_.get()); }
  std::string TargetText() const { return hone_model_target(model_.get()); }
  std::string CpuFeatures() const { return hone_model_cpu_features(model_.get()); }
  std::vector<hone_step_info> Steps() const;

 private:
  struct Free {
    void operator()(hone_model* model) const { hone_model_free(model); }
  };
  explicit CompiledModel(hone_model* model) : model_(model) {}
  hone_tensor_info Input(int index) const;
  hone_tensor_info Output(int index) const;
  static TensorType TypeOf(const hone_tensor_info& info);

  std::unique_ptr<hone_model, Free> model_;
};

}  // namespace hone
