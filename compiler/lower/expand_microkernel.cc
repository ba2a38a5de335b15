#include "compiler/lower/expand_microkernel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/expr_text.h"
#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/vectorize_loops.h"

namespace hone {
namespace {

// Writes out one block.
class BlockExpander {
 public:
  BlockExpander(const Target& target, Ranges& ranges, int* name_count)
      : target_(target), ranges_(ranges), name_count_(name_count) {}

  StatusOr<Stmt> Expand(const Stmt& block) {
    HONE_RETURN_IF_ERROR(FindLoops(block));
    HONE_RETURN_IF_ERROR(FindPieces());
    FindPoints();
    const bool slides = OrderAlongWindow();
    int64_t step = -1;
    for (const Point& point : points_) {
      // Operands are shared within one step of the reduction only: sharing them across steps would
      // keep them in registers that the accumulators need.
      if (!slides && point.step != step) {
        for (Group& group : groups_) group.loaded = {};
      }
      step = point.step;
      for (size_t p = 0; p < pieces_.size(); ++p) {
        place_ = point.place * static_cast<int64_t>(pieces_.size()) + static_cast<int64_t>(p);
        HONE_RETURN_IF_ERROR(Emit(pieces_[p], point.at));
      }
    }
    Flush();
    return Block(std::move(statements_));
  }

 private:
  // An index: what the loops outside add to it, and what each loop of the block does. A vector of
  // `lanes` elements from there on where lanes > 1, `stride` apart.
  struct Access {
    Expr base;  // empty when the block's loops alone decide
    int64_t constant = 0;
    std::vector<int64_t> coefficients;
    int64_t stride = 0;
    int lanes = 1;
    int id = 0;  // equal for reads of the same elements, in all pieces

    int64_t OffsetAt(const std::vector<int64_t>& at) const {
      int64_t offset = constant;
      for (size_t i = 0; i < at.size(); ++i) offset += coefficients[i] * at[i];
      return offset;
    }
    Expr IndexAt(const std::vector<int64_t>& at) const {
      const int64_t offset = OffsetAt(at);
      const Expr index = base ? base + offset : Int(offset);
      return lanes > 1 ? Ramp(index, Int(stride), lanes) : index;
    }
  };

  // The leaf for some lanes of the vector loop, or for its only point if there is none.
  struct Piece {
    Stmt store;
    bool linear = true;  // all indices are, in the block's loops, which occur nowhere else
    Access to;
    std::map<const ExprNode*, Access> loads;
    std::vector<const ExprNode*> reads;  // of `loads`, in the leaf's order, but of the tile
  };

  // One turn of all loops but the vector loop.
  struct Point {
    std::vector<int64_t> at;  // their values
    int64_t place = 0;        // of the tile: in the order of the loops that do not reduce
    int64_t step = 0;         // of the reduction
  };

  Status FindLoops(const Stmt& block) {
    Stmt leaf = block;
    while (leaf.kind() == StmtKind::kFor || leaf.kind() == StmtKind::kIf) {
      if (leaf.kind() == StmtKind::kIf) {
        condition_ = And(condition_, leaf->value);
      } else if (!leaf->extent.IsInt()) {
        return absl::InvalidArgumentError(
            absl::StrCat("loop '", leaf->name, "' of a micro-kernel has no constant extent"));
      } else if (vector_) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the vector loop '", vector_->name, "' is not the innermost of its micro-kernel"));
      } else if (leaf->loop_kind == LoopKind::kVector) {
        vector_ = leaf;
      } else {
        loops_.push_back(leaf);
      }
      leaf = leaf->body[0];
    }
    if (leaf.kind() != StmtKind::kStore) {
      return absl::InvalidArgumentError("a micro-kernel block holds more than one statement");
    }
    leaf_ = leaf;
    return absl::OkStatus();
  }

  // Each piece is made a vector once, for all points of the other loops.
  Status FindPieces() {
    const int lanes =
        static_cast<int>(target_.VectorBits() / (8 * DTypeBytes(leaf_->value.type().dtype)));
    std::deque<ScopedRange> inside;
    for (const Stmt& loop : loops_) inside.emplace_back(ranges_, loop->name, loop->extent);
    std::vector<VectorPiece> cuts = {{0, 1}};
    if (vector_) cuts = CutIntoVectors(vector_->extent->int_value, lanes);
    for (const VectorPiece& cut : cuts) {
      Piece piece{.store = leaf_};
      if (cut.lanes > 1) {
        HONE_ASSIGN_OR_RETURN(
            piece.store, VectorizeStore(leaf_, vector_->name, Int(cut.offset), cut.lanes, ranges_));
      } else if (vector_) {
        piece.store =
            Store(leaf_->name, {Substitute(leaf_->indices[0], {{vector_->name, Int(cut.offset)}})},
                  Substitute(leaf_->value, {{vector_->name, Int(cut.offset)}}));
      }
      FindAccesses(&piece);
      pieces_.push_back(std::move(piece));
    }
    return absl::OkStatus();
  }

  // Takes the piece's indices apart, so that each instance is an addition.
  void FindAccesses(Piece* piece) {
    const Expr& value = piece->store->value;
    piece->linear = FindAccess(piece->store->indices[0], &piece->to) && !UsesBlockVariable(value);
    Visit(value, [&](const Expr& e) {
      if (e.kind() == ExprKind::kSelect) piece->linear = false;
      if (e.kind() != ExprKind::kLoad || !piece->linear || piece->loads.count(e.get())) return;
      Access access;
      piece->linear = FindAccess(e.arg(0), &access);
      std::string text = absl::StrCat(e->name, " ", access.stride, " ", access.lanes);
      for (int64_t coefficient : access.coefficients) absl::StrAppend(&text, " ", coefficient);
      if (access.base) absl::StrAppend(&text, " ", ToString(access.base));
      access.id = ids_.emplace(text, static_cast<int>(ids_.size())).first->second;
      piece->loads[e.get()] = std::move(access);
      if (e->name != leaf_->name) piece->reads.push_back(e.get());
    });
  }

  // False where the index is not linear in the block's loops.
  bool FindAccess(const Expr& index, Access* access) const {
    Expr first = index;
    if (index.kind() == ExprKind::kRamp) {
      if (!index.arg(1).IsInt()) return false;
      first = index.arg(0);
      access->stride = index.arg(1)->int_value;
      access->lanes = index.type().lanes;
    } else if (index.type().lanes > 1) {
      return false;
    }
    LinearForm form = Linearize(first, ranges_);
    LinearForm outside;
    access->constant = form.constant;
    access->coefficients.resize(loops_.size());
    for (const LinearForm::Term& term : form.terms) {
      bool inside = false;
      for (size_t i = 0; i < loops_.size(); ++i) {
        if (!UsesVar(term.atom, loops_[i]->name)) continue;
        if (term.atom.kind() != ExprKind::kVar) return false;
        access->coefficients[i] = term.coefficient;
        inside = true;
      }
      if (!inside) outside.terms.push_back(term);
    }
    if (!outside.terms.empty()) access->base = outside.ToExpr();
    return true;
  }

  // Outside of the indices of loads.
  bool UsesBlockVariable(const Expr& e) const {
    if (e.kind() == ExprKind::kLoad) return false;
    if (e.kind() == ExprKind::kVar) return true;
    return std::any_of(e.args().begin(), e.args().end(),
                       [&](const Expr& arg) { return UsesBlockVariable(arg); });
  }

  // All of them, the innermost loop fastest.
  void FindPoints() {
    points_ = {Point()};
    for (const Stmt& loop : loops_) {
      const int64_t extent = loop->extent->int_value;
      std::vector<Point> points;
      points.reserve(points_.size() * static_cast<size_t>(extent));
      for (const Point& outside : points_) {
        for (int64_t i = 0; i < extent; ++i) {
          Point& point = points.emplace_back(outside);
          point.at.push_back(i);
          int64_t& number = Reduces(loop) ? point.step : point.place;
          number = number * extent + i;
        }
      }
      points_ = std::move(points);
    }
  }

  // Where steps of the reduction read again what others read for points beside them, as in a window
  // that slides along a row: puts the points in the order of what they read there, so that each
  // element is loaded once. Only if the tile and all that the other operands hold fit in the
  // registers, and each point's steps keep their order.
  bool OrderAlongWindow() {
    if (IsExtreme()) return false;
    for (const Piece& piece : pieces_) {
      if (!piece.linear || piece.reads.size() != pieces_[0].reads.size()) return false;
    }
    std::optional<size_t> window;
    for (size_t r = 0; r < pieces_[0].reads.size(); ++r) {
      if (!Slides(pieces_[0].loads.at(pieces_[0].reads[r]))) continue;
      if (window) return false;
      window = r;
    }
    if (!window) return false;
    const auto tile = static_cast<int64_t>(pieces_.size()) * (points_.back().place + 1);
    int64_t registers = tile + 1;  // one for an element of the window
    for (size_t r = 0; r < pieces_[0].reads.size(); ++r) {
      if (r != *window) registers += CountElements(r);
    }
    if (registers > target_.VectorRegisters()) return false;

    const Access& read = pieces_[0].loads.at(pieces_[0].reads[*window]);
    std::vector<Point> ordered = points_;
    std::stable_sort(ordered.begin(), ordered.end(), [&](const Point& a, const Point& b) {
      return read.OffsetAt(a.at) < read.OffsetAt(b.at);
    });
    std::map<int64_t, int64_t> last_step;
    for (const Point& point : ordered) {
      const auto [last, is_first] = last_step.emplace(point.place, point.step);
      if (!is_first && last->second >= point.step) return false;
      last->second = point.step;
    }
    points_ = std::move(ordered);
    return true;
  }

  // Whether different steps read the same elements for different points.
  bool Slides(const Access& access) const {
    bool by_step = false, by_point = false;
    for (size_t i = 0; i < loops_.size(); ++i) {
      if (access.coefficients[i] != 0) (Reduces(loops_[i]) ? by_step : by_point) = true;
    }
    if (!by_step || !by_point) return false;
    std::set<int64_t> elements;
    std::set<std::pair<int64_t, int64_t>> of_steps;
    for (const Point& point : points_) {
      elements.insert(access.OffsetAt(point.at));
      of_steps.emplace(point.step, access.OffsetAt(point.at));
    }
    return elements.size() < of_steps.size();
  }

  // What the `read`th reads of all pieces load, in all.
  int64_t CountElements(size_t read) const {
    std::set<std::pair<int, int64_t>> elements;
    for (const Piece& piece : pieces_) {
      const Access& access = piece.loads.at(piece.reads[read]);
      for (const Point& point : points_) elements.emplace(access.id, access.OffsetAt(point.at));
    }
    return static_cast<int64_t>(elements.size());
  }

  bool Reduces(const Stmt& loop) const { return !UsesVar(leaf_->indices[0], loop->name); }

  // Sums are made step by step of the reduction, all points of the tile in turn: each waits for the
  // one before. Of maxima and minima one point's steps follow each other, so that code generation
  // looks for NaN in two values at once; they are too quick to be waited for.
  bool IsExtreme() const {
    return leaf_->value.kind() == ExprKind::kBinary &&
           (leaf_->value->binary == BinaryOp::kMax || leaf_->value->binary == BinaryOp::kMin);
  }

  Status Emit(const Piece& piece, const std::vector<int64_t>& at) {
    if (statement_count_ > kStraightLineStatementsMax) {
      return absl::InvalidArgumentError(absl::StrCat("the micro-kernel block has more than ",
                                                     kStraightLineStatementsMax,
                                                     " statements; make its tile smaller"));
    }
    Expr condition = condition_;
    if (!condition.IsInt(1)) {
      // Decided here if the loops outside leave no choice; a branch if they do.
      condition = Simplify(Substitute(condition_, ValuesAt(at)), ranges_);
      if (condition.IsInt(0)) return absl::OkStatus();
    }
    EnterGroup(condition, piece, at);
    EmitPoint(piece, at);
    return absl::OkStatus();
  }

  // Points of equal conditions share one branch, over all steps of the reduction, so that many
  // instructions stand behind it. Points of one place in the tile keep their order.
  void EnterGroup(const Expr& condition, const Piece& piece, const std::vector<int64_t>& at) {
    size_t group = 0;
    while (group < groups_.size() && !Equal(groups_[group].condition, condition)) ++group;
    const bool linear =
        std::all_of(pieces_.begin(), pieces_.end(), [](const Piece& one) { return one.linear; });
    const int64_t place = linear ? piece.to.OffsetAt(at) : 0;  // all are one place if not known
    const auto before = places_.find(place);
    if (before != places_.end() && before->second != group) {
      Flush();
      group = 0;
    }
    if (group == groups_.size()) groups_.push_back({.condition = condition});
    current_ = group;
    places_[place] = group;
  }

  void Flush() {
    for (Group& group : groups_) {
      if (IsExtreme()) {
        std::stable_sort(group.statements.begin(), group.statements.end(),
                         [](const Placed& a, const Placed& b) { return a.place < b.place; });
      }
      std::vector<Stmt> statements;
      for (Placed& placed : group.statements) statements.push_back(std::move(placed.statement));
      if (group.condition.IsInt(1)) {
        statements_.insert(statements_.end(), statements.begin(), statements.end());
      } else {
        statements_.push_back(If(group.condition, Block(std::move(statements))));
      }
    }
    groups_.clear();
    places_.clear();
  }

  std::map<std::string, Expr> ValuesAt(const std::vector<int64_t>& at) const {
    std::map<std::string, Expr> values;
    for (size_t i = 0; i < at.size(); ++i) values[loops_[i]->name] = Int(at[i]);
    return values;
  }

  // One instance of the leaf; `at` holds the values of the block's loops.
  void EmitPoint(const Piece& piece, const std::vector<int64_t>& at) {
    if (piece.linear) {
      const Expr value = BuildValue(piece, piece.store->value, at);
      const Expr index = piece.to.IndexAt(at);
      Append(Store(leaf_->name, {index}, Broadcast(value, index.type().lanes)));
      return;
    }
    const std::map<std::string, Expr> values = ValuesAt(at);
    const Expr value = Hoist(Substitute(piece.store->value, values));
    const Expr index = Simplify(Substitute(piece.store->indices[0], values), ranges_);
    Append(Store(leaf_->name, {index}, value));
  }

  // One read that fills all lanes.
  static bool IsSplat(const Expr& e) {
    return (e.kind() == ExprKind::kBroadcast || e.kind() == ExprKind::kRepeat) &&
           e.arg(0).kind() == ExprKind::kLoad;
  }

  // Loads (and broadcasts of them) of other buffers than the tile get names, each once a step.
  Expr BuildValue(const Piece& piece, const Expr& e, const std::vector<int64_t>& at) {
    const bool is_load = e.kind() == ExprKind::kLoad;
    const bool is_splat = IsSplat(e);
    if (!is_load && !is_splat) {
      if (e.args().empty()) return e;
      std::vector<Expr> args;
      for (const Expr& arg : e.args()) args.push_back(BuildValue(piece, arg, at));
      return WithArgs(e, std::move(args));
    }
    const Expr& load = is_splat ? e.arg(0) : e;
    const Access& access = piece.loads.at(load.get());
    const std::tuple<int, int64_t, int> key(access.id, access.OffsetAt(at), e.type().lanes);
    const auto found = groups_[current_].loaded.linear.find(key);
    if (found != groups_[current_].loaded.linear.end()) return found->second;
    Expr value = Load(load->name, load.type().dtype, {access.IndexAt(at)});
    if (is_splat) value = Repeat(value, e.type().lanes);
    if (load->name == leaf_->name) return value;
    return groups_[current_].loaded.linear.emplace(key, Name(value)).first->second;
  }

  // The same where indices are not linear.
  Expr Hoist(const Expr& e) {
    const bool is_load = e.kind() == ExprKind::kLoad;
    const bool is_splat = IsSplat(e);
    if (is_load && e->name == leaf_->name) {
      return Load(e->name, e.type().dtype, {Simplify(e.arg(0), ranges_)});
    }
    if (!is_load && !is_splat) {
      std::vector<Expr> args;
      for (const Expr& arg : e.args()) args.push_back(Hoist(arg));
      return WithArgs(e, std::move(args));
    }
    const Expr& load = is_splat ? e.arg(0) : e;
    Expr simple = Load(load->name, load.type().dtype, {Simplify(load.arg(0), ranges_)});
    if (is_splat) simple = Repeat(simple, e.type().lanes);
    const std::string key = ToString(simple);
    const auto found = groups_[current_].loaded.by_text.find(key);
    if (found != groups_[current_].loaded.by_text.end()) return found->second;
    return groups_[current_].loaded.by_text.emplace(key, Name(simple)).first->second;
  }

  void Append(Stmt statement) {
    ++statement_count_;
    groups_[current_].statements.push_back({place_, std::move(statement)});
  }

  Expr Name(const Expr& value) {
    const std::string name = absl::StrCat("t", ++*name_count_);
    Append(Let(name, value));
    return Var(name, value.type());
  }

  // What has a name: by the access's id, its offset and the lanes, or by its text.
  struct Loaded {
    std::map<std::tuple<int, int64_t, int>, Expr> linear;
    std::map<std::string, Expr> by_text;
  };

  // A statement, and the point of the tile that it was first needed for; within a step of the
  // reduction points come in their order.
  struct Placed {
    int64_t place = 0;
    Stmt statement;
  };

  // Points under one condition.
  struct Group {
    Expr condition;
    Loaded loaded;
    std::vector<Placed> statements;
  };

  const Target& target_;
  Ranges& ranges_;
  int* name_count_;
  std::vector<Stmt> loops_;  // all but the vector loop
  Stmt vector_;              // empty if there is none
  Stmt leaf_;
  Expr condition_ = Int(1, {DType::kBool, 1});  // of the leaf
  std::vector<Piece> pieces_;
  std::map<std::string, int> ids_;
  std::vector<Group> groups_;         // since the last flush
  size_t current_ = 0;                // of them
  std::vector<Point> points_;         // in the order in which they are written
  int64_t place_ = 0;                 // of the tile: that of the point being written
  std::map<int64_t, size_t> places_;  // of the tile: the group of the points there
  std::vector<Stmt> statements_;
  size_t statement_count_ = 0;  // those in branches too
};

StatusOr<Stmt> Expand(const Stmt& s, const Target& target, Ranges& ranges, int* name_count) {
  if (s.kind() == StmtKind::kFor && s->straight_line) {
    return BlockExpander(target, ranges, name_count).Expand(s);
  }
  StmtNode node = *s;
  if (s.kind() == StmtKind::kFor) {
    ScopedRange range(ranges, node.name, node.extent);
    HONE_ASSIGN_OR_RETURN(node.body[0], Expand(node.body[0], target, ranges, name_count));
    return Stmt(std::move(node));
  }
  for (Stmt& child : node.body) {
    HONE_ASSIGN_OR_RETURN(child, Expand(child, target, ranges, name_count));
  }
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  return Stmt(std::move(node));
}

}  // namespace

StatusOr<Stmt> ExpandMicrokernel(const Stmt& s, const Target& target, Ranges& ranges) {
  int name_count = 0;
  return Expand(s, target, ranges, &name_count);
}

}  // namespace hone
