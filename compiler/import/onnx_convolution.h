// Builders of ONNX's convolutions, pooling and normalisation of images.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

// The convolution of input x by weights w that a node's attributes describe.
StatusOr<ConvolutionOp> ConvolutionOf(const OnnxNode& node, int x, int w);
// [C] so that it broadcasts along the channels of images of this rank.
StatusOr<int> PerChannel(OnnxNode& node, int value, int64_t rank);

Status ImportAveragePool(OnnxNode& node);
Status ImportBatchNormalization(OnnxNode& node);
Status ImportConv(OnnxNode& node);
Status ImportConvTranspose(OnnxNode& node);
Status ImportGlobalAveragePool(OnnxNode& node);
Status ImportGlobalMaxPool(OnnxNode& node);
Status ImportLrn(OnnxNode& node);
Status ImportMaxPool(OnnxNode& node);

}  // namespace hone
