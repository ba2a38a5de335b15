#include "compiler/lower/expand_microkernel.h"

#include <algorithm>
#include <set>

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
    while (leaf.kind() == StmtKind::kFor) {
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
    HONE_RETURN_IF_ERROR(Unroll(0, {}));
    return Block(std::move(statements_));
  }

 private:
  // Opens loop `depth` for each of its values in turn; `at` holds the values of the loops outside.
  Status Unroll(size_t depth, std::map<std::string, Expr> at) {
    if (depth == loops_.size()) return Emit(at, "", Expr(), 1);
    const Stmt& loop = loops_[depth];
    if (loop->loop_kind == LoopKind::kVector) {
      if (depth + 1 != loops_.size()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the vector loop '", loop->name, "' is not the innermost of its micro-kernel"));
      }
      for (const VectorPiece& piece : CutIntoVectors(loop->extent->int_value, lanes_)) {
        HONE_RETURN_IF_ERROR(Emit(at, loop->name, Int(piece.offset), piece.lanes));
      }
      return absl::OkStatus();
    }
    const bool reduces = !UsesVar(leaf_->indices[0], loop->name);
    for (int64_t i = 0; i < loop->extent->int_value; ++i) {
      // Operands are shared within one step of the reduction only: sharing them across steps would
      // keep them in registers that the accumulators need.
      if (reduces) loaded_.clear();
      at[loop->name] = Int(i);
      HONE_RETURN_IF_ERROR(Unroll(depth + 1, at));
    }
    return absl::OkStatus();
  }

  Status Emit(const std::map<std::string, Expr>& at, const std::string& vector_var,
              const Expr& offset, int lanes) {
    Expr value = Substitute(leaf_->value, at);
    Expr index = Substitute(leaf_->indices[0], at);
    Stmt store = Store(leaf_->name, {index}, value);
    if (lanes > 1) {
      HONE_ASSIGN_OR_RETURN(store, VectorizeStore(store, vector_var, offset, lanes, ranges_));
    } else if (!vector_var.empty()) {
      store = Substitute(store, {{vector_var, offset}});
    }
    index = Simplify(store->indices[0], ranges_);
    value = Hoist(store->value);
    statements_.push_back(Store(leaf_->name, {index}, value));
    if (statements_.size() > kStraightLineStatementsMax) {
      return absl::InvalidArgumentError(absl::StrCat("the micro-kernel block has more than ",
                                                     kStraightLineStatementsMax,
                                                     " statements; make its tile smaller"));
    }
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
  std::map<std::string, Expr> loaded_;
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
