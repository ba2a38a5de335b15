// Builders of ONNX's elementwise operators. Each has the signature that onnx_table.cc lists.
#pragma once

#include "compiler/import/onnx_node.h"

namespace hone {

// y = op(x), y = op(a, b), and y = op(op(a, b), c)... for any number of inputs.
template <UnaryOp op>
Status ImportUnary(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  if constexpr (op == UnaryOp::kAbs || op == UnaryOp::kNeg) {
    if (node.TypeOf(x) == DType::kBool) return node.WantInteger(x);
  } else {
    HONE_RETURN_IF_ERROR(node.WantFloat(x));
  }
  return node.Done(
      node.Elementwise({x}, [](const std::vector<Expr>& v) { return Unary(op, v[0]); }));
}

StatusOr<std::vector<int>> BinaryOperands(OnnxNode& node);  // of one type; old broadcasting

// And, Or, Xor take bools; their Bitwise kin integers.
template <BinaryOp op, bool kBitwise>
Status ImportLogical(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  HONE_RETURN_IF_ERROR(kBitwise ? node.WantInteger(operands[0]) : node.WantBool(operands[0]));
  return node.Done(node.Elementwise(
      operands, [](const std::vector<Expr>& v) { return Binary(op, v[0], v[1]); }));
}

template <bool kBitwise>
Status ImportNot(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_RETURN_IF_ERROR(kBitwise ? node.WantInteger(x) : node.WantBool(x));
  return node.Done(
      node.Elementwise({x}, [](const std::vector<Expr>& v) { return Unary(UnaryOp::kNot, v[0]); }));
}

template <BinaryOp op>
Status ImportBinary(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  return node.Done(node.Elementwise(
      operands, [](const std::vector<Expr>& v) { return Binary(op, v[0], v[1]); }));
}

template <BinaryOp op>
Status ImportVariadic(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, node.AllInputs());
  return node.Done(node.Elementwise(operands, [](const std::vector<Expr>& v) {
    Expr value = v[0];
    for (size_t i = 1; i < v.size(); ++i) value = Binary(op, value, v[i]);
    return value;
  }));
}

Status ImportBitShift(OnnxNode& node);
Status ImportCast(OnnxNode& node);
Status ImportCastLike(OnnxNode& node);
Status ImportCelu(OnnxNode& node);
Status ImportClip(OnnxNode& node);
Status ImportCosh(OnnxNode& node);
Status ImportElu(OnnxNode& node);
Status ImportGelu(OnnxNode& node);
Status ImportGreater(OnnxNode& node);
Status ImportGreaterOrEqual(OnnxNode& node);
Status ImportHardSigmoid(OnnxNode& node);
Status ImportHardSwish(OnnxNode& node);
Status ImportIdentity(OnnxNode& node);
Status ImportIsNan(OnnxNode& node);
Status ImportLeakyRelu(OnnxNode& node);
Status ImportMeanOf(OnnxNode& node);
Status ImportMish(OnnxNode& node);
Status ImportMod(OnnxNode& node);
Status ImportPow(OnnxNode& node);
Status ImportPRelu(OnnxNode& node);
Status ImportReciprocal(OnnxNode& node);
Status ImportRelu(OnnxNode& node);
Status ImportSelu(OnnxNode& node);
Status ImportSign(OnnxNode& node);
Status ImportSinh(OnnxNode& node);
Status ImportSoftplus(OnnxNode& node);
Status ImportSoftsign(OnnxNode& node);
Status ImportTan(OnnxNode& node);
Status ImportThresholdedRelu(OnnxNode& node);
Status ImportWhere(OnnxNode& node);

}  // namespace hone
