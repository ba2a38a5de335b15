// Builders of ONNX's operators that move data: each is an index map, or a few.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportConcat(OnnxNode& node);
Status ImportDepthToSpace(OnnxNode& node);
Status ImportExpand(OnnxNode& node);
Status ImportGather(OnnxNode& node);
Status ImportGatherElements(OnnxNode& node);
Status ImportOneHot(OnnxNode& node);
Status ImportPad(OnnxNode& node);
Status ImportSlice(OnnxNode& node);
Status ImportSpaceToDepth(OnnxNode& node);
Status ImportSplit(OnnxNode& node);
Status ImportTile(OnnxNode& node);
Status ImportTranspose(OnnxNode& node);
Status ImportTrilu(OnnxNode& node);

}  // namespace hone
