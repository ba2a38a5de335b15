#include "compiler/import/onnx_reader.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "compiler/import/tensor_proto.h"

namespace hone {

StatusOr<onnx::ModelProto> ParseOnnxModel(absl::string_view bytes) {
  onnx::ModelProto model;
  if (bytes.empty()) return absl::InvalidArgumentError("the file is empty");
  const bool parsed = model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (parsed && model.has_graph()) return model;
  // Every exporter writes the IR version first: field 1, a number. What was read before the error
  // is kept, so a model that names its version broke off on the way.
  if (bytes[0] == '\x08' && model.ir_version() > 0 && model.ir_version() < 1000) {
    return absl::DataLossError(
        parsed ? "the model has no graph; the file is damaged or truncated"
               : "the file begins as an ONNX model but breaks off; it is truncated or damaged "
                 "(copy or export it again)");
  }
  return absl::InvalidArgumentError(
      "not an ONNX file; export the model as .onnx, or try hone zoo tiny");
}

StatusOr<DType> DTypeFromOnnx(int32_t type) {
  if (const std::optional<DType> dtype = DTypeOfOnnx(type)) return *dtype;
  const std::string name =
      onnx::TensorProto::DataType_IsValid(type)
          ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type))
          : absl::StrCat("number ", type);
  return absl::UnimplementedError(absl::StrCat("element type ", name, " is not supported"));
}

}  // namespace hone
