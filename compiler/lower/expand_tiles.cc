#include "compiler/lower/expand_tiles.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/ir/expr_text.h"
#include "compiler/ir/tensor_intrinsic.h"
#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

bool IsZero(const Expr& e) {
  return e.IsInt(0) || (e.kind() == ExprKind::kFloat && e->float_value == 0);
}

// The loops of a block, outermost first, and the store inside of them. The last two are a tile's
// rows and columns; of those before, all but the reduction's count rows of tiles.
struct TileBlock {
  std::vector<Stmt> loops;
  Stmt leaf;

  const std::string& row() const { return loops[loops.size() - 2]->name; }
  const std::string& column() const { return loops.back()->name; }
  int64_t rows() const { return loops[loops.size() - 2]->extent->int_value; }
  int64_t columns() const { return loops.back()->extent->int_value; }
};

// Where an operand's or a result's tiles lie in memory.
struct TileAccess {
  std::string buffer;
  Expr index;  // of the point that the block's loops name
  int64_t row_stride = 0;
};

// Writes out one block.
class TileExpander {
 public:
  TileExpander(const TensorIntrinsic& intrinsic, TileBlock block, Ranges& ranges, int* name_count)
      : intrinsic_(intrinsic), block_(std::move(block)), ranges_(ranges), name_count_(name_count) {}

  StatusOr<Stmt> Expand(bool leaf_is_tiles) {
    std::vector<Stmt> statements;
    const Stmt& leaf = block_.leaf;
    const bool is_sum = leaf_is_tiles && !IsZero(leaf->value);
    FindTiles(is_sum ? 1 : 0);
    if (!leaf_is_tiles) {
      HONE_RETURN_IF_ERROR(Store(&statements));
    } else if (!is_sum) {
      for (const Values& tile : tiles_) {
        HONE_ASSIGN_OR_RETURN(const int64_t number, TileNumber(leaf->indices[0], tile));
        statements.push_back(TileZero(leaf->name, number));
      }
    } else {
      HONE_RETURN_IF_ERROR(Multiply(&statements));
    }
    return Block(std::move(statements));
  }

 private:
  struct Product {
    TileAccess left;
    TileAccess right;
  };

  // Values of some of the block's loops.
  using Values = std::map<std::string, int64_t>;

  template <typename... Parts>
  Status Bad(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat(intrinsic_.name, ": ", parts...));
  }

  // The index where these loops have these values and the block's others are 0.
  Expr At(const Expr& index, const Values& values) const {
    std::map<std::string, Expr> all;
    for (const Stmt& loop : block_.loops) all[loop->name] = Int(0);
    for (const auto& [loop, value] : values) all[loop] = Int(value);
    return Simplify(Substitute(index, all), ranges_);
  }

  // The first points of all tiles, as their registers are numbered: rows of tiles in the loops'
  // order, in each its columns.
  void FindTiles(size_t first_loop) {
    tiles_ = {{}};
    for (size_t i = first_loop; i < block_.loops.size(); ++i) {
      const Stmt& loop = block_.loops[i];
      const int64_t step = loop->name == block_.row()      ? intrinsic_.tile.rows
                           : loop->name == block_.column() ? intrinsic_.tile.columns
                                                           : 1;
      std::vector<Values> tiles;
      for (const Values& outside : tiles_) {
        for (int64_t value = 0; value < loop->extent->int_value; value += step) {
          tiles.push_back(outside);
          tiles.back()[loop->name] = value;
        }
      }
      tiles_ = std::move(tiles);
    }
    column_tiles_ = block_.columns() / intrinsic_.tile.columns;
    row_tiles_ = static_cast<int64_t>(tiles_.size()) / column_tiles_;
  }

  // Where the tile begins in memory. The last of several rows of tiles ends where the rows do: it
  // computes some of the one before once more.
  Values InMemory(Values tile) const {
    int64_t& row = tile[block_.row()];
    row = std::clamp(block_.rows() - intrinsic_.tile.rows, int64_t{0}, row);
    return tile;
  }

  // Which of the tiles that hold the sums has its first point at `index`.
  StatusOr<int64_t> TileNumber(const Expr& index, const Values& tile) const {
    const Expr first = At(index, tile);
    if (!first.IsInt()) return Bad("a tile's place is not known: ", ToString(first));
    return first->int_value / (intrinsic_.tile.rows * intrinsic_.tile.columns);
  }

  // How far each value of `loop` lies from its first, or nothing where that is not the same
  // wherever the other loops are.
  std::optional<std::vector<int64_t>> Offsets(const Expr& index, const std::string& loop,
                                              int64_t count) const {
    std::vector<int64_t> offsets(static_cast<size_t>(count));
    bool is_sum = true;  // of what each term says by itself
    for (const LinearForm::Term& term : Linearize(index, ranges_).terms) {
      if (!UsesVar(term.atom, loop)) continue;
      // Both loops in one atom would make the distance depend on the other.
      for (const Stmt& other : block_.loops) {
        if (other->name != loop && UsesVar(term.atom, other->name)) return std::nullopt;
      }
      is_sum = is_sum && AddOffsets(term.atom, term.coefficient, loop, &offsets);
    }
    if (is_sum) return offsets;
    offsets.assign(static_cast<size_t>(count), 0);
    if (!AddOffsets(index, 1, loop, &offsets)) return std::nullopt;
    return offsets;
  }

  // Adds those of `factor` times `e`; false where they are not the same everywhere.
  bool AddOffsets(const Expr& e, int64_t factor, const std::string& loop,
                  std::vector<int64_t>* offsets) const {
    const bool is_loop = e.IsVar(loop);
    const Expr first = is_loop ? Int(0) : At(e, {});
    for (int64_t i = 0; i < static_cast<int64_t>(offsets->size()); ++i) {
      int64_t distance = i;
      if (!is_loop && !ConstantDifference(At(e, {{loop, i}}), first, ranges_, &distance)) {
        return false;
      }
      (*offsets)[i] += factor * distance;
    }
    return true;
  }

  // How far the loop moves the index each time, if always by the same.
  std::optional<int64_t> Stride(const Expr& index, const std::string& loop, int64_t count) const {
    const auto offsets = Offsets(index, loop, std::max<int64_t>(2, count));
    if (!offsets) return std::nullopt;
    for (int64_t i = 0; i < count; ++i) {
      if ((*offsets)[i] != i * (*offsets)[1]) return std::nullopt;
    }
    return (*offsets)[1];
  }

  const std::string& depth_loop() const { return block_.loops[0]->name; }

  // Where a row has each point of the reduction: side by side from the first, in any order, since a
  // sum has none. Nothing where they do not lie like that.
  std::optional<std::vector<int64_t>> DepthOrder(const Expr& index) const {
    const int64_t depth = intrinsic_.tile.depth;
    std::optional<std::vector<int64_t>> order = Offsets(index, depth_loop(), depth);
    if (!order) return std::nullopt;
    std::vector<int64_t> places = *order;
    std::sort(places.begin(), places.end());
    for (int64_t i = 0; i < depth; ++i) {
      if (places[i] != i) return std::nullopt;
    }
    return order;
  }

  // How far apart groups of the reduction's points are that rows have in this order; nothing where
  // the points of a group are not side by side, or groups not evenly apart.
  std::optional<int64_t> GroupStride(const Expr& index, const std::vector<int64_t>& order) const {
    const auto offsets = Offsets(index, depth_loop(), intrinsic_.tile.depth);
    if (!offsets) return std::nullopt;
    const int64_t group = intrinsic_.group;
    const size_t second = std::find(order.begin(), order.end(), group) - order.begin();
    const int64_t stride = second < order.size() ? (*offsets)[second] : 0;
    for (size_t i = 0; i < order.size(); ++i) {
      if ((*offsets)[i] != order[i] / group * stride + order[i] % group) return std::nullopt;
    }
    return stride;
  }

  // A[row][depth], depth side by side in this order, if there is one.
  StatusOr<TileAccess> LeftAccess(const Expr& load,
                                  const std::optional<std::vector<int64_t>>& order) const {
    const Expr& index = load.arg(0);
    const std::optional<int64_t> stride = Stride(index, block_.row(), intrinsic_.tile.rows);
    if (!stride || !order) {
      return Bad("the rows of '", load->name, "' do not have ", intrinsic_.tile.depth,
                 " points of the reduction side by side, at even distances: ", ToString(index));
    }
    return TileAccess{load->name, index, *stride};
  }

  // B[depth / group][column][depth % group], for rows that have the depth in this order.
  StatusOr<TileAccess> RightAccess(const Expr& load, const std::vector<int64_t>& order) const {
    const Expr& index = load.arg(0);
    const int64_t group = intrinsic_.group;
    const auto columns = Stride(index, block_.column(), intrinsic_.tile.columns);
    const auto stride = GroupStride(index, order);
    if (columns != group || !stride) {
      return Bad("the columns of '", load->name, "' do not lie side by side in groups of ", group,
                 " points of the reduction, in the order of the rows: ", ToString(index));
    }
    return TileAccess{load->name, index, *stride};
  }

  Status Store(std::vector<Stmt>* statements) const {
    const Expr& index = block_.leaf->indices[0];
    const auto rows = Stride(index, block_.row(), block_.rows());
    const auto columns = Stride(index, block_.column(), block_.columns());
    if (!rows || columns != 1) {
      return Bad("'", block_.leaf->name,
                 "' does not take rows of sums side by side: ", ToString(index));
    }
    const Expr& sums = block_.leaf->value;
    for (const Values& tile : tiles_) {
      HONE_ASSIGN_OR_RETURN(const int64_t number, TileNumber(sums.arg(0), tile));
      statements->push_back(
          TileStore(sums->name, number, block_.leaf->name, At(index, InMemory(tile)), Int(*rows)));
    }
    return absl::OkStatus();
  }

  Status FindProducts(const Expr& e, std::vector<Product>* products) const {
    if (e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kAdd) {
      HONE_RETURN_IF_ERROR(FindProducts(e.arg(0), products));
      return FindProducts(e.arg(1), products);
    }
    if (e.kind() != ExprKind::kBinary || e->binary != BinaryOp::kMul) {
      return Bad("the block does not sum products: ", ToString(e));
    }
    Expr reads[2];
    for (int i = 0; i < 2; ++i) {
      reads[i] = e.arg(i).kind() == ExprKind::kCast ? e.arg(i).arg(0) : e.arg(i);
      if (reads[i].kind() != ExprKind::kLoad) {
        return Bad("a factor is no read of memory: ", ToString(e.arg(i)));
      }
    }
    if (UsesVar(reads[1], block_.row())) std::swap(reads[0], reads[1]);
    const std::optional<std::vector<int64_t>> order = DepthOrder(reads[0].arg(0));
    HONE_ASSIGN_OR_RETURN(TileAccess left, LeftAccess(reads[0], order));
    HONE_ASSIGN_OR_RETURN(TileAccess right, RightAccess(reads[1], *order));
    products->push_back({std::move(left), std::move(right)});
    return absl::OkStatus();
  }

  // The order in which products of parts share a tile with the one before, where they can.
  static std::vector<Product> InOrderOfReuse(std::vector<Product> products) {
    std::vector<Product> ordered;
    while (!products.empty()) {
      auto next = products.begin();
      if (!ordered.empty()) {
        const auto shares = [&](const Product& p) {
          return Equal(p.left.index, ordered.back().left.index) ||
                 Equal(p.right.index, ordered.back().right.index);
        };
        next = std::find_if(products.begin(), products.end(), shares);
        if (next == products.end()) next = products.begin();
      }
      ordered.push_back(*next);
      products.erase(next);
    }
    return ordered;
  }

  // The tiles of one operand that are in registers, by the address they came from.
  struct Slots {
    std::string name;
    std::vector<std::string> holds;
  };

  // The number of the tile at `start`, loaded unless it is there.
  int64_t Ensure(Slots& slots, int64_t wanted, const TileAccess& access, const Expr& start,
                 std::vector<Stmt>* statements) const {
    const int64_t slot = wanted % static_cast<int64_t>(slots.holds.size());
    const std::string key = absl::StrCat(access.buffer, "[", ToString(start), "]");
    if (slots.holds[slot] == key) return slot;
    slots.holds[slot] = key;
    const bool streams = access.buffer == block_.loops[0]->source;
    statements->push_back((streams ? TileStream : TileLoad)(slots.name, slot, access.buffer, start,
                                                            Int(access.row_stride)));
    return slot;
  }

  Status Multiply(std::vector<Stmt>* statements) {
    const Stmt& leaf = block_.leaf;
    const Expr& value = leaf->value;
    const bool accumulates = value.kind() == ExprKind::kBinary && value->binary == BinaryOp::kAdd &&
                             value.arg(0).kind() == ExprKind::kLoad &&
                             value.arg(0)->name == leaf->name;
    if (!accumulates || block_.loops.size() < 3) {
      return Bad("the block is no sum of what tiles hold: ", ToString(value));
    }
    if (block_.loops[0]->extent->int_value % intrinsic_.tile.depth != 0) {
      return Bad("loop '", depth_loop(), "' is no multiple of ", intrinsic_.tile.depth, " points");
    }
    std::vector<Product> products;
    HONE_RETURN_IF_ERROR(FindProducts(value.arg(1), &products));
    products = InOrderOfReuse(std::move(products));

    const int64_t sums = row_tiles_ * column_tiles_;
    const int64_t right_slots = std::min(column_tiles_, kTileRegisters - sums - row_tiles_);
    if (right_slots < 1) {
      return Bad(row_tiles_, " x ", column_tiles_, " tiles of sums leave no room for operands in ",
                 kTileRegisters, " registers");
    }
    const int number = ++*name_count_;
    Slots left{absl::StrCat(leaf->name, ".a", number), std::vector<std::string>(row_tiles_)};
    Slots right{absl::StrCat(leaf->name, ".b", number), std::vector<std::string>(right_slots)};
    Declare(left, intrinsic_.left, statements);
    Declare(right, intrinsic_.right, statements);
    std::vector<int64_t> numbers;
    for (const Values& tile : tiles_) {
      HONE_ASSIGN_OR_RETURN(const int64_t number, TileNumber(leaf->indices[0], tile));
      numbers.push_back(number);
    }
    for (int64_t k = 0; k < block_.loops[0]->extent->int_value; k += intrinsic_.tile.depth) {
      const auto start = [&](const TileAccess& access, const Values& tile) {
        Values begin = InMemory(tile);
        begin[depth_loop()] = k;
        return At(access.index, begin);
      };
      for (const Product& product : products) {
        for (int64_t i = 0; i < row_tiles_; ++i) {
          const int64_t first = i * column_tiles_;
          const int64_t a =
              Ensure(left, i, product.left, start(product.left, tiles_[first]), statements);
          for (int64_t j = 0; j < column_tiles_; ++j) {
            const int64_t b = Ensure(right, j, product.right,
                                     start(product.right, tiles_[first + j]), statements);
            statements->push_back(TileMultiply(intrinsic_.name, leaf->name, numbers[first + j],
                                               left.name, a, right.name, b));
          }
        }
      }
    }
    return absl::OkStatus();
  }

  void Declare(const Slots& slots, DType dtype, std::vector<Stmt>* statements) const {
    statements->push_back(
        Allocate({slots.name,
                  dtype,
                  {Int(static_cast<int64_t>(slots.holds.size())), Int(intrinsic_.tile.rows),
                   Int(kTileRowBytes / DTypeBytes(dtype))},
                  Scope::kTile}));
  }

  const TensorIntrinsic& intrinsic_;
  const TileBlock block_;
  Ranges& ranges_;
  int* name_count_;
  std::vector<Values> tiles_;  // where each tile of the sums would begin if none overlapped
  int64_t row_tiles_ = 0;      // rows of tiles, of all loops that count them
  int64_t column_tiles_ = 0;
};

class TilePass {
 public:
  TilePass(const Target& target, Ranges& ranges) : target_(target), ranges_(ranges) {}

  StatusOr<Stmt> Run(const Stmt& s) {
    if (s.kind() == StmtKind::kAllocate && s->buffer.scope == Scope::kTile) {
      return RunAllocate(s);
    }
    if (s.kind() == StmtKind::kFor && s->straight_line) return RunBlock(s);
    StmtNode node = *s;
    if (s.kind() == StmtKind::kFor) {
      ScopedRange range(ranges_, node.name, node.extent);
      HONE_ASSIGN_OR_RETURN(node.body[0], Run(node.body[0]));
      return Stmt(std::move(node));
    }
    for (Stmt& child : node.body) {
      HONE_ASSIGN_OR_RETURN(child, Run(child));
    }
    if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
    return Stmt(std::move(node));
  }

 private:
  // Flat elements become tiles.
  StatusOr<Stmt> RunAllocate(const Stmt& s) {
    tiles_.insert(s->buffer.name);
    Buffer buffer = s->buffer;
    const int64_t columns = kTileRowBytes / DTypeBytes(buffer.dtype);
    buffer.shape = {FloorDiv(buffer.shape[0], kTileRows * columns), Int(kTileRows), Int(columns)};
    return Allocate(std::move(buffer));
  }

  StatusOr<Stmt> RunBlock(const Stmt& s) {
    TileBlock block;
    block.leaf = s;
    bool constant = true;
    while (block.leaf.kind() == StmtKind::kFor) {
      constant &= block.leaf->extent.IsInt();
      block.loops.push_back(block.leaf);
      block.leaf = Stmt(block.leaf->body[0]);
    }
    const bool is_store = block.leaf.kind() == StmtKind::kStore;
    const bool to_tiles = is_store && tiles_.count(block.leaf->name) > 0;
    const bool from_tiles = is_store && block.leaf->value.kind() == ExprKind::kLoad &&
                            tiles_.count(block.leaf->value->name) > 0;
    if (!to_tiles && !from_tiles) return s;
    const TensorIntrinsic* intrinsic = FindTensorIntrinsic(s->intrinsic);
    if (intrinsic == nullptr || intrinsic->IsDot() || !constant || block.loops.size() < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("the block of tiles '", block.leaf->name, "' is not whole"));
    }
    HONE_RETURN_IF_ERROR(CheckTensorIntrinsic(target_, *intrinsic));
    return TileExpander(*intrinsic, std::move(block), ranges_, &name_count_).Expand(to_tiles);
  }

  const Target& target_;
  Ranges& ranges_;
  std::set<std::string> tiles_;  // buffers of them
  int name_count_ = 0;
};

}  // namespace

StatusOr<Stmt> ExpandTiles(const Stmt& s, const Target& target, Ranges& ranges) {
  return TilePass(target, ranges).Run(s);
}

}  // namespace hone
