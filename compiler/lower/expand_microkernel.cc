#include "compiler/lower/expand_microkernel.h"

#include <algorithm>
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
  BlockExpander(int vector_bits, const Ranges& ranges, int* name_count)
      : vector_bits_(vector_bits), ranges_(ranges), name_count_(name_count) {}

  StatusOr<Stmt> Expand(const Stmt& block) {
    Stmt leaf = block;
    while (leaf.kind() == StmtKind::kFor || leaf.kind() == StmtKind::kIf) {
      if (leaf.kind() == StmtKind::kIf) {
        condition_ = And(condition_, leaf->value);
        leaf = leaf->body[0];
        continue;
      }
      if (!leaf->extent.IsInt()) {
        return absl::InvalidArgumentError(
            absl::StrCat("loop '", leaf->name, "' of a micro-kernel has no constant extent"));
      }
      loops_.push_back(leaf);
      leaf = leaf->body[0];
    }
    if (leaf.kind() != StmtKind::kStore) {
      return absl::InvalidArgumentError("a micro-kernel block holds more than one statement");
    }
    leaf_ = leaf;
    lanes_ = static_cast<int>(vector_bits_ / (8 * DTypeBytes(leaf->value.type().dtype)));
    linear_ = FindAccesses();
    HONE_RETURN_IF_ERROR(Unroll(0, {}));
    return Block(std::move(statements_));
  }

 private:
  // An index of the leaf: what the loops outside add to it, and what each loop of the block does.
  struct Access {
    Expr base;  // empty when the block's loops alone decide
    int64_t constant = 0;
    std::vector<int64_t> coefficients;
  };

  // Takes the leaf's indices apart, so that each instance is an addition. False where an index is
  // not linear in the block's loops, or their variables occur outside of indices.
  bool FindAccesses() {
    if (!AddAccess(leaf_->indices[0], &store_access_)) return false;
    bool linear = true;
    std::set<const ExprNode*> seen;
    Visit(leaf_->value, [&](const Expr& e) {
      if (e.kind() == ExprKind::kSelect) linear = false;
      if (e.kind() != ExprKind::kLoad || !seen.insert(e.get()).second) return;
      linear &= AddAccess(e.arg(0), &load_accesses_[e.get()]);
    });
    return linear && !UsesBlockVariable(leaf_->value);
  }

  bool AddAccess(const Expr& index, Access* access) {
    LinearForm form = Linearize(index, ranges_);
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

  bool UsesBlockVariable(const Expr& e) const {
    if (e.kind() == ExprKind::kLoad) return false;
    if (e.kind() == ExprKind::kVar) return true;
    for (const Expr& arg : e.args()) {
      if (UsesBlockVariable(arg)) return true;
    }
    return false;
  }

  // The index of one instance; `stride` is what the next lane adds.
  Expr IndexOf(const Access& access, const std::vector<int64_t>& at, int64_t* stride) const {
    int64_t offset = access.constant;
    for (size_t i = 0; i < at.size(); ++i) offset += access.coefficients[i] * at[i];
    const bool has_vector = !loops_.empty() && loops_.back()->loop_kind == LoopKind::kVector;
    *stride = has_vector ? access.coefficients.back() : 0;
    return access.base ? access.base + offset : Int(offset);
  }

  // One instance of the leaf when all its indices are linear.
  void EmitLinear(const std::vector<int64_t>& at, int lanes) {
    Expr value = BuildValue(leaf_->value, at, lanes);
    int64_t stride = 0;
    Expr index = IndexOf(store_access_, at, &stride);
    if (lanes > 1) index = Ramp(index, Int(stride), lanes);
    statements_.push_back(Store(leaf_->name, {index}, Broadcast(value, index.type().lanes)));
  }

  Expr BuildValue(const Expr& e, const std::vector<int64_t>& at, int lanes) {
    if (e.kind() != ExprKind::kLoad) {
      if (e.args().empty()) return Broadcast(e, lanes);
      std::vector<Expr> args;
      for (const Expr& arg : e.args()) args.push_back(Broadcast(BuildValue(arg, at, lanes), lanes));
      return WithArgs(e, std::move(args));
    }
    int64_t stride = 0;
    Expr index = IndexOf(load_accesses_.at(e.get()), at, &stride);
    if (lanes > 1 && stride != 0) index = Ramp(index, Int(stride), lanes);
    Expr load = Broadcast(Load(e->name, e.type().dtype, {index}), lanes);
    if (e->name == leaf_->name) return load;
    int64_t offset = 0;
    for (size_t i = 0; i < at.size(); ++i)
      offset += load_accesses_.at(e.get()).coefficients[i] * at[i];
    const std::tuple<const ExprNode*, int64_t, int> key(e.get(), offset, lanes);
    auto found = loaded_linear_.find(key);
    if (found == loaded_linear_.end()) {
      const std::string name = absl::StrCat("t", ++*name_count_);
      statements_.push_back(Let(name, load));
      found = loaded_linear_.emplace(key, Var(name, load.type())).first;
    }
    return found->second;
  }

  // Opens loop `depth` for each of its values in turn; `at` holds the values of the loops outside.
  Status Unroll(size_t depth, std::vector<int64_t> at) {
    if (depth == loops_.size()) return Emit(at, 1);
    const Stmt& loop = loops_[depth];
    if (loop->loop_kind == LoopKind::kVector) {
      if (depth + 1 != loops_.size()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the vector loop '", loop->name, "' is not the innermost of its micro-kernel"));
      }
      for (const VectorPiece& piece : CutIntoVectors(loop->extent->int_value, lanes_)) {
        at.push_back(piece.offset);
        HONE_RETURN_IF_ERROR(Emit(at, piece.lanes));
        at.pop_back();
      }
      return absl::OkStatus();
    }
    const bool reduces = !UsesVar(leaf_->indices[0], loop->name);
    for (int64_t i = 0; i < loop->extent->int_value; ++i) {
      // Operands are shared within one step of the reduction only: sharing them across steps would
      // keep them in registers that the accumulators need.
      if (reduces) {
        loaded_.clear();
        loaded_linear_.clear();
      }
      at.push_back(i);
      HONE_RETURN_IF_ERROR(Unroll(depth + 1, at));
      at.pop_back();
    }
    return absl::OkStatus();
  }

  Status Emit(const std::vector<int64_t>& at, int lanes) {
    if (statements_.size() > kStraightLineStatementsMax) {
      return absl::InvalidArgumentError(absl::StrCat("the micro-kernel block has more than ",
                                                     kStraightLineStatementsMax,
                                                     " statements; make its tile smaller"));
    }
    if (condition_.IsInt(1)) return EmitPoint(at, lanes);
    // Decided here if the loops outside leave no choice; a branch if they do.
    std::map<std::string, Expr> values;
    for (size_t i = 0; i < at.size(); ++i) values[loops_[i]->name] = Int(at[i]);
    const Expr condition = Simplify(Substitute(condition_, values), ranges_);
    if (condition.IsInt(0)) return absl::OkStatus();
    if (condition.IsInt(1)) return EmitPoint(at, lanes);
    std::vector<Stmt> before = std::exchange(statements_, {});
    const auto loaded = loaded_;
    const auto loaded_linear = loaded_linear_;
    HONE_RETURN_IF_ERROR(EmitPoint(at, lanes));
    loaded_ = loaded;
    loaded_linear_ = loaded_linear;
    before.push_back(If(condition, Block(std::move(statements_))));
    statements_ = std::move(before);
    return absl::OkStatus();
  }

  // One instance of the leaf; `at` holds the values of the block's loops.
  Status EmitPoint(const std::vector<int64_t>& at, int lanes) {
    if (linear_) {
      EmitLinear(at, lanes);
      return absl::OkStatus();
    }
    const bool has_vector = !loops_.empty() && loops_.back()->loop_kind == LoopKind::kVector;
    std::map<std::string, Expr> values;
    for (size_t i = 0; i < at.size(); ++i) {
      if (!has_vector || i + 1 < at.size() || lanes == 1) values[loops_[i]->name] = Int(at[i]);
    }
    Stmt store = Store(leaf_->name, {Substitute(leaf_->indices[0], values)},
                       Substitute(leaf_->value, values));
    if (lanes > 1) {
      HONE_ASSIGN_OR_RETURN(
          store, VectorizeStore(store, loops_.back()->name, Int(at.back()), lanes, ranges_));
    }
    Expr value = Hoist(store->value);
    statements_.push_back(Store(leaf_->name, {Simplify(store->indices[0], ranges_)}, value));
    return absl::OkStatus();
  }

  // Names loads (and broadcasts of them) of other buffers than the tile, each once a step.
  Expr Hoist(const Expr& e) {
    const bool is_load = e.kind() == ExprKind::kLoad;
    const bool is_splat = e.kind() == ExprKind::kBroadcast && e.arg(0).kind() == ExprKind::kLoad;
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
    if (is_splat) simple = Broadcast(simple, e.type().lanes);
    const std::string key = ToString(simple);
    auto found = loaded_.find(key);
    if (found == loaded_.end()) {
      const std::string name = absl::StrCat("t", ++*name_count_);
      statements_.push_back(Let(name, simple));
      found = loaded_.emplace(key, Var(name, simple.type())).first;
    }
    return found->second;
  }

  const int vector_bits_;
  const Ranges& ranges_;
  int* name_count_;
  int lanes_ = 1;
  std::vector<Stmt> loops_;
  Stmt leaf_;
  Expr condition_ = Int(1, {DType::kBool, 1});  // of the leaf
  bool linear_ = false;
  Access store_access_;
  std::map<const ExprNode*, Access> load_accesses_;
  std::map<std::tuple<const ExprNode*, int64_t, int>, Expr> loaded_linear_;
  std::map<std::string, Expr> loaded_;  // by text, where indices are not linear
  std::vector<Stmt> statements_;
};

StatusOr<Stmt> Expand(const Stmt& s, int vector_bits, Ranges& ranges, int* name_count) {
  if (s.kind() == StmtKind::kFor && s->straight_line) {
    return BlockExpander(vector_bits, ranges, name_count).Expand(s);
  }
  StmtNode node = *s;
  if (s.kind() == StmtKind::kFor) {
    ScopedRange range(ranges, node.name, node.extent);
    HONE_ASSIGN_OR_RETURN(node.body[0], Expand(node.body[0], vector_bits, ranges, name_count));
    return Stmt(std::move(node));
  }
  for (Stmt& child : node.body) {
    HONE_ASSIGN_OR_RETURN(child, Expand(child, vector_bits, ranges, name_count));
  }
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  return Stmt(std::move(node));
}

}  // namespace

StatusOr<Stmt> ExpandMicrokernel(const Stmt& s, int vector_bits, Ranges& ranges) {
  int name_count = 0;
  return Expand(s, vector_bits, ranges, &name_count);
}

}  // namespace hone
