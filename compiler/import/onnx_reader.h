// Bytes to ONNX's protobuf messages, with errors a person can act on. Used by the importer only.
#pragma once

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/dtype.h"
#include "onnx/onnx_pb.h"

namespace hone {

// A model that has a graph.
StatusOr<onnx::ModelProto> ParseOnnxModel(absl::string_view bytes);

// ONNX's element type as ours; an error for strings, complex numbers and other exotic ones.
StatusOr<DType> DTypeFromOnnx(int32_t type);

}  // namespace hone
