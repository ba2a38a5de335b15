#include "compiler/import/onnx_matmul.h"

#include <utility>

namespace hone {

Status ImportGemm(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int a, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int b, node.Input(1));
  const MatMulOp op{.transpose_x = node.Int("transA", 0) != 0,
                    .transpose_w = node.Int("transB", 0) != 0};
  const double alpha = node.Float("alpha", 1);
  const double beta = node.Float("beta", 1);
  Expr value = EpilogueValue(DType::kF32);
  if (alpha != 1) value = value * Number(alpha, DType::kF32);
  std::vector<int> operands;
  if (node.Has(2) && beta != 0) {
    HONE_ASSIGN_OR_RETURN(const int c, node.Input(2));
    if (node.TypeOf(c) != DType::kF32) {
      return absl::UnimplementedError("only f32 matrix products are supported");
    }
    Expr bias = EpilogueOperand(0, DType::kF32);
    if (beta != 1) bias = bias * Number(beta, DType::kF32);
    value = value + bias;
    operands = {c};
  }
  const bool plain = operands.empty() && alpha == 1;
  return node.Done(node.graph().Add(node.name(), op, {a, b}, plain ? Expr() : value, operands));
}

Status ImportMatMul(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(int a, node.Input(0));
  HONE_ASSIGN_OR_RETURN(int b, node.Input(1));
  const bool vector_a = node.Rank(a) == 1;
  const bool vector_b = node.Rank(b) == 1;
  if (vector_a) {
    HONE_ASSIGN_OR_RETURN(a, node.Reshape(a, {1, node.Shape(a)[0]}));
  }
  if (vector_b) {
    HONE_ASSIGN_OR_RETURN(b, node.Reshape(b, {node.Shape(b)[0], 1}));
  }
  HONE_ASSIGN_OR_RETURN(int y, node.graph().Add(node.name(), MatMulOp{}, {a, b}));
  std::vector<int64_t> shape = node.Shape(y);
  if (vector_b) shape.pop_back();
  if (vector_a) shape.erase(shape.end() - (vector_b ? 1 : 2));
  return node.Done(node.Reshape(y, shape));
}

}  // namespace hone
