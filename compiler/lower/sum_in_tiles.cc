#include "compiler/lower/sum_in_tiles.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/tile_block.h"

namespace hone {
namespace {

// The addition that follows a block, taken apart.
struct Addition {
  std::vector<Stmt> loops;  // the last one over columns
  std::string sums;         // what is added to
  Expr at;                  // where in it
  Expr part;                // where in the block's memory
};

// for m { vector n { c[at] = c[at] + p[part] } }
std::optional<Addition> FindAddition(const BlockParts& block) {
  Addition addition{.loops = block.rows.loops};
  const Stmt columns = block.rows.body();
  if (columns.kind() != StmtKind::kFor || !columns->extent.IsInt()) return std::nullopt;
  addition.loops.push_back(columns);
  const Stmt& store = columns->body[0];
  if (store.kind() != StmtKind::kStore || store->indices.size() != 1) return std::nullopt;
  const Expr& value = store->value;
  if (value.kind() != ExprKind::kBinary || value->binary != BinaryOp::kAdd) return std::nullopt;
  const auto reads = [](const Expr& e, const std::string& memory) {
    return e.kind() == ExprKind::kLoad && e->name == memory && !e->has_otherwise;
  };
  if (!reads(value.arg(0), store->name) || !Equal(value.arg(0).arg(0), store->indices[0]) ||
      !reads(value.arg(1), block.memory->buffer.name) || store->name == value.arg(1)->name) {
    return std::nullopt;
  }
  addition.sums = store->name;
  addition.at = store->indices[0];
  addition.part = value.arg(1).arg(0);
  return addition;
}

class Summer {
 public:
  Summer(const BlockParts& block, Addition addition, const Ranges& ranges)
      : block_(block), addition_(std::move(addition)), ranges_(ranges) {}

  // Empty where a tile has no place of its own in the sums.
  Stmt Write() const {
    std::vector<Stmt> loads, stores;
    for (const Stmt& store : block_.stores) {
      const std::optional<Place> place = PlaceOf(store);
      if (!place || !store->indices[0].IsInt()) return Stmt();
      const int64_t number = store->indices[0]->int_value;
      loads.push_back(
          TileLoad(store->name, number, addition_.sums, place->at, Int(place->row_stride)));
      stores.push_back(
          TileStore(store->name, number, addition_.sums, place->at, Int(place->row_stride)));
    }
    if (loads.size() != block_.before.size()) return Stmt();
    // All loads before all stores: where tiles overlap, both go on from what was there.
    std::vector<Stmt> all = {block_.tiles};
    for (const std::vector<Stmt>* parts :
         {&std::as_const(loads), &block_.products, &std::as_const(stores)}) {
      all.insert(all.end(), parts->begin(), parts->end());
    }
    return Block(std::move(all));
  }

 private:
  // Where a tile's first element lies, and how far its rows are apart.
  struct Place {
    Expr at;
    int64_t row_stride = 0;
  };
  using Values = std::map<std::string, int64_t>;

  Expr At(const Expr& index, const Values& values) const {
    std::map<std::string, Expr> all;
    for (const auto& [loop, value] : values) all[loop] = Int(value);
    return Simplify(Substitute(index, all), ranges_);
  }

  // How far the index moves from these values to those where `loop` is `by` further on.
  std::optional<int64_t> Step(const Expr& index, Values values, const std::string& loop,
                              int64_t by) const {
    const Expr from = At(index, values);
    values[loop] += by;
    int64_t step = 0;
    if (!ConstantDifference(At(index, values), from, ranges_, &step)) return std::nullopt;
    return step;
  }

  // The values of the loops where the block's memory has the element that the store begins at.
  std::optional<Values> ValuesAt(int64_t element) const {
    Values values;
    for (const Stmt& loop : addition_.loops) values[loop->name] = 0;
    const Expr first = At(addition_.part, values);
    if (!first.IsInt(0)) return std::nullopt;
    // From the loop whose steps are the longest.
    std::vector<std::pair<int64_t, const Stmt*>> steps;
    for (const Stmt& loop : addition_.loops) {
      const std::optional<int64_t> step = Step(addition_.part, values, loop->name, 1);
      if (!step || *step <= 0) return std::nullopt;
      steps.emplace_back(*step, &loop);
    }
    std::sort(steps.begin(), steps.end(),
              [](const auto& a, const auto& b) { return a.first > b.first; });
    int64_t left = element;
    for (const auto& [step, loop] : steps) {
      values[(*loop)->name] = std::min(left / step, (*loop)->extent->int_value - 1);
      left -= values[(*loop)->name] * step;
    }
    const Expr found = At(addition_.part, values);
    return left == 0 && found.IsInt(element) ? std::optional<Values>(values) : std::nullopt;
  }

  // Whether the loop has so many turns more from these values on, each of which moves both indices
  // evenly; then by how much it moves that of the sums.
  std::optional<int64_t> EvenStep(const Values& values, const Stmt& loop, int64_t turns,
                                  int64_t part_step) const {
    if (values.at(loop->name) + turns > loop->extent->int_value) return std::nullopt;
    const std::optional<int64_t> step = Step(addition_.at, values, loop->name, 1);
    for (int64_t i = 1; step && i < turns; ++i) {
      if (Step(addition_.at, values, loop->name, i) != i * *step ||
          Step(addition_.part, values, loop->name, i) != i * part_step) {
        return std::nullopt;
      }
    }
    return step;
  }

  std::optional<Place> PlaceOf(const Stmt& store) const {
    const Expr& element = store->indices[1];
    const Expr& row_stride = store->indices[2];
    if (!element.IsInt() || !row_stride.IsInt()) return std::nullopt;
    const std::optional<Values> values = ValuesAt(element->int_value);
    if (!values) return std::nullopt;
    const std::vector<Expr>& shape = block_.tiles->buffer.shape;
    const Stmt& column = addition_.loops.back();
    if (EvenStep(*values, column, shape[2]->int_value, 1) != 1) return std::nullopt;
    for (const Stmt& row : addition_.loops) {
      if (Step(addition_.part, *values, row->name, 1) != row_stride->int_value) continue;
      const auto step = EvenStep(*values, row, shape[1]->int_value, row_stride->int_value);
      if (!step) continue;
      return Place{At(addition_.at, *values), *step};
    }
    return std::nullopt;
  }

  const BlockParts& block_;
  const Addition addition_;
  const Ranges& ranges_;
};

}  // namespace

Stmt SumInTiles(const Stmt& s, Ranges& ranges) {
  if (const std::optional<BlockParts> block = FindTileBlock(s)) {
    if (std::optional<Addition> addition = FindAddition(*block)) {
      if (Stmt summed = Summer(*block, *std::move(addition), ranges).Write()) return summed;
    }
  }
  return RewriteInside(s, ranges, [&](const Stmt& inner) { return SumInTiles(inner, ranges); });
}

}  // namespace hone
