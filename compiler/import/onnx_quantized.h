// Builders of ONNX's quantised operators: integers with a scale and a zero point. Zero points other
// than 0 are taken off ahead, in 16 bits, which hold every difference of two bytes: what remains is
// a sum of products of integers, exact in 32 bits, and an epilogue that scales and rounds it.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

Status ImportConvInteger(OnnxNode& node);
Status ImportDequantizeLinear(OnnxNode& node);
Status ImportDynamicQuantizeLinear(OnnxNode& node);
Status ImportMatMulInteger(OnnxNode& node);
Status ImportQLinearConv(OnnxNode& node);
Status ImportQLinearMatMul(OnnxNode& node);
Status ImportQuantizeLinear(OnnxNode& node);

}  // namespace hone
