// Builder of ONNX's Resize and Upsample: nearest and linear, all coordinate conventions.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportResize(OnnxNode& node);
Status ImportUpsample(OnnxNode& node);

}  // namespace hone
