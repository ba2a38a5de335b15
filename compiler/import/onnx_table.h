// The one list of ONNX operators that hone imports. To add one: a builder in onnx_<family>.cc, and
// a line here.
#pragma once

#include <vector>

#include "compiler/import/onnx_node.h"

namespace hone {

struct OnnxOperator {
  const char* name;
  int since;  // the lowest opset whose rules the builder follows
  Status (*build)(OnnxNode&);
};

// The newest opset whose rules the builders follow.
inline constexpr int kNewestOpset = 22;

// Sorted by name.
const std::vector<OnnxOperator>& OnnxTable();

}  // namespace hone
