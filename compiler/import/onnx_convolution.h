// Builders of ONNX's convolutions, pooling and normalisation of images.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportAveragePool(OnnxNode& node);
Status ImportBatchNormalization(OnnxNode& node);
Status ImportConv(OnnxNode& node);
Status ImportConvTranspose(OnnxNode& node);
Status ImportGlobalAveragePool(OnnxNode& node);
Status ImportGlobalMaxPool(OnnxNode& node);
Status ImportLrn(OnnxNode& node);
Status ImportMaxPool(OnnxNode& node);

}  // namespace hone
