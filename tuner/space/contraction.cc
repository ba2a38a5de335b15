#include "tuner/space/contraction.h"

namespace hone {
namespace {

std::optional<Access> MatchRead(const Expr& e) {
  const Expr& load = e.kind() == ExprKind::kCast ? e.arg(0) : e;
  if (load.kind() != ExprKind::kLoad) return std::nullopt;
  return Access{load->name, load.type().dtype, Indices(load), load->has_otherwise};
}

}  // namespace

std::optional<ContractionForm> MatchContractionForm(const Stage& stage) {
  if (stage.combiner != Combiner::kSum) return std::nullopt;
  const Expr& body = stage.body;
  if (body.kind() != ExprKind::kBinary || body->binary != BinaryOp::kMul) return std::nullopt;
  std::optional<Access> left = MatchRead(body.arg(0));
  std::optional<Access> right = MatchRead(body.arg(1));
  if (!left || !right) return std::nullopt;
  ContractionForm form{*std::move(left), *std::move(right)};
  for (const Dim& dim : stage.dims) {
    const bool in_left = form.left.Uses(dim.name);
    const bool in_right = form.right.Uses(dim.name);
    (in_left == in_right ? form.batch : in_left ? form.rows : form.columns).push_back(dim.name);
  }
  return form;
}

}  // namespace hone
