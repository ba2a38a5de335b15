#include "compiler/lower/contract.h"

namespace hone {
namespace {

bool IsProduct(const Expr& e) {
  return e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kMul;
}

Expr Contract(const Expr& e) {
  if (e.kind() != ExprKind::kBinary || e->binary != BinaryOp::kAdd) return Expr();
  const DType dtype = e.type().dtype;
  if (dtype != DType::kF32 && dtype != DType::kF64) return Expr();
  if (IsProduct(e.arg(1))) return Fma(e.arg(1).arg(0), e.arg(1).arg(1), e.arg(0));
  if (IsProduct(e.arg(0))) return Fma(e.arg(0).arg(0), e.arg(0).arg(1), e.arg(1));
  return Expr();
}

}  // namespace

Stmt ContractMultiplyAdd(const Stmt& s) {
  return Rewrite(s, nullptr, [](const Expr& e) { return Rewrite(e, Contract); });
}

}  // namespace hone
