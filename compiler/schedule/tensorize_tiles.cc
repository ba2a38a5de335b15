#include "compiler/schedule/tensorize_tiles.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// One product of the stage's sum: what is read for the rows and for the columns.
struct Product {
  Expr rows;
  Expr columns;
};

// The read of an operand, perhaps widened; empty if it is something else.
Expr ReadOf(const Expr& operand) {
  const Expr& read = operand.kind() == ExprKind::kCast ? operand.arg(0) : operand;
  return read.kind() == ExprKind::kLoad ? read : Expr();
}

// Adds the products that `e` sums; false if it is not a sum of products of two reads.
bool FindProducts(const Expr& e, const std::string& row, std::vector<Product>* products) {
  if (e.kind() != ExprKind::kBinary) return false;
  if (e->binary == BinaryOp::kAdd) {
    return FindProducts(e.arg(0), row, products) && FindProducts(e.arg(1), row, products);
  }
  if (e->binary != BinaryOp::kMul) return false;
  const Expr left = ReadOf(e.arg(0));
  const Expr right = ReadOf(e.arg(1));
  if (!left || !right) return false;
  products->push_back(UsesVar(left, row) ? Product{left, right} : Product{right, left});
  return true;
}

Status CheckProducts(const std::vector<Product>& products, const TensorIntrinsic& intrinsic,
                     const std::string& row, const std::string& column, const StageNest& stage,
                     const LoopNest& nest) {
  for (const Product& product : products) {
    const DType rows = product.rows.type().dtype;
    const DType columns = product.columns.type().dtype;
    if (rows != intrinsic.left || columns != intrinsic.right) {
      return absl::InvalidArgumentError(absl::StrCat(
          intrinsic.name, " multiplies rows of ", DTypeName(intrinsic.left), " by columns of ",
          DTypeName(intrinsic.right), ", the stage '", product.rows->name, "' of ", DTypeName(rows),
          " by '", product.columns->name, "' of ", DTypeName(columns)));
    }
    if (!UsesVar(product.rows, row) || UsesVar(product.rows, column) ||
        !UsesVar(product.columns, column) || UsesVar(product.columns, row)) {
      return absl::InvalidArgumentError(
          absl::StrCat("of '", row, "' and '", column,
                       "' each must index one operand, so that one counts rows, one columns"));
    }
    for (const Expr& read : {product.rows, product.columns}) {
      // Without a copy, rows have to hold whole tiles, which lowering sees to, and columns to be
      // made of them.
      const bool is_copy = nest.FindStage(read->name) != nullptr;
      const bool has_room =
          is_copy ||
          (UsesVar(read, row) ? stage.PointsOf(row) >= intrinsic.tile.rows
                              : stage.PointsOf(column) > 0 &&
                                    stage.PointsOf(column) % intrinsic.tile.columns == 0);
      if (!has_room || read->has_otherwise) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", read->name,
                         "' is no copy of the operand, with room for whole tiles; "
                         "'cache' or 'split' makes one"));
      }
    }
  }
  return absl::OkStatus();
}

bool IsDim(const std::vector<Dim>& dims, const std::string& name) {
  for (const Dim& dim : dims) {
    if (dim.name == name) return true;
  }
  return false;
}

// Whether `loop` always has `depth` points.
bool IsAsDeep(const StageNest& stage, const std::string& loop, int64_t depth) {
  for (const TileSplit& tile : stage.tiles) {
    if (loop != tile.axis + ".1" || !tile.param.empty()) continue;
    for (const Dim& dim : stage.stage.reduce) {
      if (dim.name != tile.axis) continue;
      return tile.size == depth && dim.extent.IsInt() && dim.extent->int_value % depth == 0;
    }
  }
  for (const Dim& dim : stage.stage.reduce) {
    if (dim.name == loop) return dim.extent.IsInt(depth);
  }
  return false;
}

// The reads of a copy, zero outside of what is copied.
Expr WithZerosOutside(const Expr& body) {
  return Rewrite(body, [](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->has_otherwise) return Expr();
    const Type type = e.type();
    return Load(e->name, type.dtype, Indices(e),
                IsFloat(type.dtype) ? Float(0, type) : Int(0, type));
  });
}

}  // namespace

Status TensorizeTiles(const TensorIntrinsic& intrinsic, const std::string& loop, StageNest& stage,
                      LoopNest& nest) {
  const std::string& name = stage.stage.name;
  if (stage.placement != Placement::kAt) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", name, "' must be computed inside its reader first, as in 'at ",
                     name, " y w.0': only some tiles fit in the registers"));
  }
  if (stage.stage.combiner != Combiner::kSum || stage.stage.dtype != intrinsic.result) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", name, "' is no sum of ", DTypeName(intrinsic.result)));
  }
  const size_t at = stage.LoopIndex(loop);
  for (size_t i = 0; i < at; ++i) {
    if (stage.IsReduceLoop(stage.order[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat("loop '", stage.order[i],
                                                   "' outside the block does not reduce; reorder "
                                                   "it inwards"));
  }
  bool fits = stage.order.size() >= at + 3 && stage.IsReduceLoop(loop) &&
              IsAsDeep(stage, loop, intrinsic.tile.depth);
  for (size_t i = at + 1; i < stage.order.size(); ++i) {
    fits &= IsDim(stage.stage.dims, stage.order[i]) && stage.kinds.count(stage.order[i]) == 0;
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a block of ", intrinsic.name, " is a loop that reduces ", intrinsic.tile.depth,
        " points, then whole dims of '", name, "', the last two of them rows and columns"));
  }
  const std::string& row = stage.order[stage.order.size() - 2];
  const std::string& column = stage.order.back();
  std::vector<Product> products;
  if (!FindProducts(stage.stage.body, row, &products)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", name, "' does not sum products of two reads"));
  }
  HONE_RETURN_IF_ERROR(CheckProducts(products, intrinsic, row, column, stage, nest));
  stage.microkernel = loop;
  stage.tile_intrinsic = intrinsic.name;
  stage.rows_in_place = std::any_of(products.begin(), products.end(), [&](const Product& product) {
    return nest.FindStage(product.rows->name) == nullptr;
  });
  for (const Product& product : products) {
    for (const Expr& read : {product.rows, product.columns}) {
      StageNest* copy = nest.FindStage(read->name);
      if (copy != nullptr) copy->stage.body = WithZerosOutside(copy->stage.body);
    }
  }
  return absl::OkStatus();
}

}  // namespace hone
