// ONNX models as Graphs. Used by the cli. Shapes are inferred here and all static: symbolic
// dimensions get their values from ImportOptions. Half-precision models are widened: they compute
// in f32, and keep f16 at their inputs and outputs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "compiler/graph/graph.h"

namespace hone {

struct ImportOptions {
  std::map<std::string, int64_t> dims;                       // batch_size -> 1
  std::map<std::string, std::vector<int64_t>> input_shapes;  // input -> its whole shape
  // Inputs that are fixed while importing, and are then no inputs any more: a sampling rate, a
  // shape that the model takes as a tensor.
  std::map<std::string, Tensor> fixed_inputs;
};

// Errors are one line that says what is wrong, where in the model, and what to do: not ONNX,
// truncated, an operator or version that is not supported (operator, node, opset), a dimension
// without a value (and the `--shape NAME=VALUE` that gives it one).
StatusOr<Graph> ImportOnnx(absl::string_view bytes, const ImportOptions& options);

// The same from a file; errors begin with its path.
StatusOr<Graph> ImportOnnxFile(const std::string& path, const ImportOptions& options);

// The names of all supported operators, sorted.
std::vector<std::string> SupportedOnnxOperators();

}  // namespace hone
