#include "cli/compiled_model.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "runtime/fill.h"

namespace hone {

Status StatusOf(const hone_error& error) {
  const std::string message = error.message;
  switch (error.code) {
    case HONE_OK:
      return absl::OkStatus();
    case HONE_ERROR_IO:
      return absl::NotFoundError(message);
    case HONE_ERROR_MALFORMED:
      return absl::DataLossError(message);
    case HONE_ERROR_UNSUPPORTED:
      return absl::UnimplementedError(message);
    case HONE_ERROR_ARGUMENT:
      return absl::InvalidArgumentError(message);
    case HONE_ERROR_NO_MEMORY:
      return absl::ResourceExhaustedError(message);
    case HONE_ERROR_KERNEL:
      return absl::InternalError(message);
  }
  return absl::InternalError(message);
}

StatusOr<CompiledModel> CompiledModel::Load(const std::string& path, const Options& options) {
  hone_error error = {};
  const hone_model_options c_options = {
      .threads = options.threads, .profile = options.profile, .describe = options.describe};
  hone_model* model = hone_model_load(path.c_str(), &c_options, &error);
  if (model == nullptr) return StatusOf(error);
  return CompiledModel(model);
}

hone_tensor_info CompiledModel::Input(int index) const {
  hone_tensor_info info = {};
  HONE_CHECK(hone_model_input_info(model_.get(), index, &info, nullptr) == HONE_OK) << index;
  return info;
}

hone_tensor_info CompiledModel::Output(int index) const {
  hone_tensor_info info = {};
  HONE_CHECK(hone_model_output_info(model_.get(), index, &info, nullptr) == HONE_OK) << index;
  return info;
}

TensorType CompiledModel::TypeOf(const hone_tensor_info& info) {
  const StatusOr<DType> dtype = ParseDType(info.dtype);
  HONE_CHECK(dtype.ok()) << dtype.status();  // loading has checked it
  return {.dtype = *dtype, .shape = {info.shape, info.shape + info.rank}};
}

int CompiledModel::FindInput(const std::string& name) const {
  for (int i = 0; i < InputCount(); ++i) {
    if (InputName(i) == name) return i;
  }
  return -1;
}

Status CompiledModel::SetInput(int index, const Tensor& tensor) {
  hone_error error = {};
  hone_model_set_input(model_.get(), index, tensor.bytes.data(), tensor.Bytes(), &error);
  return StatusOf(error);
}

Status CompiledModel::SetInputShape(int index, const std::vector<int64_t>& shape) {
  hone_error error = {};
  hone_model_set_input_shape(model_.get(), index, shape.data(), static_cast<int>(shape.size()),
                             &error);
  return StatusOf(error);
}

Status CompiledModel::AdoptShapes(const std::vector<Tensor>& tensors,
                                  const std::vector<std::string>& sources) {
  std::vector<Status> shaped;
  for (int i = 0; i < InputCount(); ++i) shaped.push_back(SetInputShape(i, tensors[i].shape));
  for (int i = 0; i < InputCount(); ++i) {
    const TensorType given = {.dtype = tensors[i].dtype, .shape = tensors[i].shape};
    const TensorType wanted = InputType(i);
    if (given != wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat(sources[i], ": holds ", ToString(given), ", but the model's input '",
                       InputName(i), "' is ", ToString(wanted),
                       shaped[i].ok() ? "" : absl::StrCat(" (", shaped[i].message(), ")")));
    }
  }
  return absl::OkStatus();
}

Tensor CompiledModel::SeededInput(int index, uint64_t seed) const {
  const TensorType type = InputType(index);
  Tensor tensor = Tensor::Zeros(type.dtype, type.shape);
  hone_fill(tensor.bytes.data(), tensor.ElementCount(), std::string(DTypeName(type.dtype)).c_str(),
            seed, static_cast<uint32_t>(index));
  return tensor;
}

Status CompiledModel::Run() {
  hone_error error = {};
  hone_model_run(model_.get(), &error);
  return StatusOf(error);
}

Tensor CompiledModel::GetOutput(int index) const {
  const TensorType type = OutputType(index);
  Tensor tensor = Tensor::Zeros(type.dtype, type.shape);
  HONE_CHECK(hone_model_get_output(model_.get(), index, tensor.bytes.data(), tensor.Bytes(),
                                   nullptr) == HONE_OK)
      << index;
  return tensor;
}

std::vector<hone_step_info> CompiledModel::Steps() const {
  std::vector<hone_step_info> steps(hone_model_step_count(model_.get()));
  for (size_t i = 0; i < steps.size(); ++i) {
    hone_model_step(model_.get(), static_cast<int>(i), &steps[i], nullptr);
  }
  return steps;
}

}  // namespace hone
