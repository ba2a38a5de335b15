#include "compiler/lower/tensorize_loops.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

// One loop and the intrinsic it is to become.
class DotLoop {
 public:
  DotLoop(const Stmt& loop, const TensorIntrinsic& intrinsic, const Ranges& ranges)
      : loop_(loop), intrinsic_(intrinsic), ranges_(ranges) {}

  StatusOr<Stmt> Make() const {
    const Stmt& store = loop_->body[0];
    if (store.kind() != StmtKind::kStore) {
      return Bad("the loop holds more than the one sum; make it the innermost");
    }
    const Expr& value = store->value;
    const bool sums = value.kind() == ExprKind::kBinary && value->binary == BinaryOp::kAdd &&
                      IsOwn(value.arg(0), store);
    const Expr product = sums ? value.arg(1) : Expr();
    if (!sums || product.kind() != ExprKind::kBinary || product->binary != BinaryOp::kMul) {
      return Bad("the loop does not add a product to '", store->name, "'");
    }
    // Multiplication commutes; the intrinsic's operands need not.
    Expr left = product.arg(0);
    Expr right = product.arg(1);
    if (intrinsic_.left != intrinsic_.right && DTypeOfRead(left) == intrinsic_.right) {
      std::swap(left, right);
    }
    HONE_ASSIGN_OR_RETURN(Expr left_run, Run(left, intrinsic_.left));
    HONE_ASSIGN_OR_RETURN(Expr right_run, Run(right, intrinsic_.right));
    return Store(store->name, store->indices,
                 Dot(intrinsic_, value.arg(0), std::move(left_run), std::move(right_run)));
  }

 private:
  template <typename... Parts>
  Status Bad(const Parts&... parts) const {
    return absl::InvalidArgumentError(
        absl::StrCat("loop '", loop_->name, "' cannot be ", intrinsic_.name, ": ", parts...));
  }

  static bool IsOwn(const Expr& e, const Stmt& store) {
    return e.kind() == ExprKind::kLoad && e->name == store->name &&
           Equal(e.arg(0), store->indices[0]);
  }

  static DType DTypeOfRead(const Expr& e) {
    return e.kind() == ExprKind::kCast ? e.arg(0).type().dtype : e.type().dtype;
  }

  // The group that one operand reads, as one vector.
  StatusOr<Expr> Run(const Expr& operand, DType dtype) const {
    const Expr& load = operand.kind() == ExprKind::kCast ? operand.arg(0) : operand;
    if (load.kind() != ExprKind::kLoad) {
      return Bad("an operand is no plain read, but computed or padded; 'cache' it first");
    }
    if (load.type().dtype != dtype) {
      return Bad("operand '", load->name, "' is ", DTypeName(load.type().dtype), ", not ",
                 DTypeName(dtype), "; 'cache ... as ", DTypeName(dtype), "' makes a copy that is");
    }
    LinearForm form = Linearize(load.arg(0), ranges_);
    if (form.HidesVariable(loop_->name) || form.CoefficientOf(loop_->name) != 1) {
      return Bad("its ", intrinsic_.group, " elements of '", load->name,
                 "' are not neighbours in memory; give it a layout that ends in them");
    }
    const Expr first = Substitute(form.ToExpr(), {{loop_->name, Int(0)}});
    return Load(load->name, dtype, {Ramp(Simplify(first, ranges_), Int(1), intrinsic_.group)});
  }

  const Stmt& loop_;
  const TensorIntrinsic& intrinsic_;
  const Ranges& ranges_;
};

}  // namespace

StatusOr<Stmt> TensorizeLoops(const Stmt& s, const Target& target, Ranges& ranges) {
  StmtNode node = *s;
  if (s.kind() != StmtKind::kFor) {
    for (Stmt& child : node.body) {
      HONE_ASSIGN_OR_RETURN(child, TensorizeLoops(child, target, ranges));
    }
    if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
    return Stmt(std::move(node));
  }
  ScopedRange range(ranges, node.name, node.extent);
  if (!node.intrinsic.empty()) {
    HONE_ASSIGN_OR_RETURN(const TensorIntrinsic* intrinsic, TensorIntrinsicOrError(node.intrinsic));
    HONE_RETURN_IF_ERROR(CheckTensorIntrinsic(target, *intrinsic));
    return DotLoop(s, *intrinsic, ranges).Make();
  }
  HONE_ASSIGN_OR_RETURN(node.body[0], TensorizeLoops(node.body[0], target, ranges));
  return Stmt(std::move(node));
}

}  // namespace hone
