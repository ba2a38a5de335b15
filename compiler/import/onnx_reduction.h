// Builders of ONNX's reductions, softmax and the normalisations made of reductions.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportGroupNormalization(OnnxNode& node);
Status ImportInstanceNormalization(OnnxNode& node);
Status ImportLayerNormalization(OnnxNode& node);
Status ImportLogSoftmax(OnnxNode& node);
Status ImportLpNormalization(OnnxNode& node);
Status ImportReduceL1(OnnxNode& node);
Status ImportReduceL2(OnnxNode& node);
Status ImportReduceLogSum(OnnxNode& node);
Status ImportReduceLogSumExp(OnnxNode& node);
Status ImportReduceMax(OnnxNode& node);
Status ImportReduceMean(OnnxNode& node);
Status ImportReduceMin(OnnxNode& node);
Status ImportReduceProd(OnnxNode& node);
Status ImportReduceSum(OnnxNode& node);
Status ImportReduceSumSquare(OnnxNode& node);
Status ImportSoftmax(OnnxNode& node);

}  // namespace hone
