// ONNX's TensorProto as hone's Tensor, and back: weights inside a model, and the files of ONNX's
// test data (input_0.pb). The importer and the commands that read such files use it; no header
// shows ONNX's classes.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/tensor.h"

namespace onnx {
class TensorProto;
}

namespace hone {

struct NamedTensor {
  std::string name;  // may be empty
  Tensor tensor;
};

// ONNX's number of an element type, as ours; nothing for types hone lacks.
std::optional<DType> DTypeOfOnnx(int32_t onnx_type);

// Unimplemented for element types hone lacks (strings, complex numbers) and for data kept outside
// the message; InvalidArgument when data and shape do not fit.
StatusOr<Tensor> TensorFromProto(const onnx::TensorProto& proto);

// The bytes of a serialised TensorProto. `what` names them in errors: a file name.
StatusOr<NamedTensor> ParseTensorProto(absl::string_view bytes, absl::string_view what);
std::string SerializeTensorProto(const NamedTensor& tensor);

}  // namespace hone
