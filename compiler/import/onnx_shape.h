// Builders of ONNX's operators on shapes, constants and views: what is known when the model is
// read, or costs nothing.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportConstant(OnnxNode& node);
Status ImportConstantOfShape(OnnxNode& node);
Status ImportDropout(OnnxNode& node);
Status ImportEyeLike(OnnxNode& node);
Status ImportFlatten(OnnxNode& node);
Status ImportRange(OnnxNode& node);
Status ImportReshape(OnnxNode& node);
Status ImportShape(OnnxNode& node);
Status ImportSize(OnnxNode& node);
Status ImportSqueeze(OnnxNode& node);
Status ImportUnsqueeze(OnnxNode& node);

}  // namespace hone
