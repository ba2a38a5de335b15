// Builders of ONNX's matrix products.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportGemm(OnnxNode& node);
Status ImportMatMul(OnnxNode& node);

}  // namespace hone
