#include "compiler/lower/partition_loops.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/ir/floor_divide.h"
#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/rename.h"

namespace hone {
namespace {

constexpr size_t kCutsMax = 4;
// Parts of so many loops around that are not these loops' longest: a corner, which runs too seldom
// for its own loops to be cut, each cut being several times the code.
constexpr int kCorner = 2;

// Collects the values of `var` at which a comparison inside select conditions changes, where no
// other variable has a say in it.
void CollectCuts(const Expr& e, const std::string& var, const Ranges& ranges,
                 std::set<int64_t>* cuts) {
  Visit(e, [&](const Expr& node) {
    if (node.kind() != ExprKind::kBinary || node.arg(0).type() != Type{}) return;
    if (node->binary != BinaryOp::kLess && node->binary != BinaryOp::kLessEqual) return;
    // a < b  is  a - b + 1 <= 0;  with a - b = c*v + k the truth changes at one v.
    LinearForm form = Linearize(node.arg(0) - node.arg(1), ranges);
    if (form.terms.size() != 1 || !form.terms[0].atom.IsVar(var)) return;
    const int64_t c = form.terms[0].coefficient;
    const int64_t k = form.constant + (node->binary == BinaryOp::kLess ? 1 : 0);
    // c > 0: true while v <= floor(-k / c).  c < 0: true from v = ceil(-k / c) on.
    cuts->insert(c > 0 ? FloorDivide(-k, c) + 1 : -FloorDivide(-k, -c));
  });
}

// The same for the conditions that stand within micro-kernel blocks: the values of `var` from which
// on, or up to which, a condition holds whatever the loops inside do. There, blocks are whole.
void CollectBlockCuts(const Stmt& body, const std::string& var, const Ranges& ranges,
                      std::set<int64_t>* cuts) {
  Ranges inner;
  Visit(body, [&](const Stmt& node) {
    if (node.kind() == StmtKind::kFor && node->extent.IsInt() && node->extent->int_value > 0) {
      inner[node->name] = {0, node->extent->int_value - 1};
    }
  });
  auto collect = [&](const Expr& e) {
    if (e.kind() != ExprKind::kBinary || e.arg(0).type() != Type{}) return;
    if (e->binary != BinaryOp::kLess && e->binary != BinaryOp::kLessEqual) return;
    LinearForm form = Linearize(e.arg(0) - e.arg(1), ranges);
    int64_t most = form.constant + (e->binary == BinaryOp::kLess ? 1 : 0);
    int64_t c = 0;
    for (const LinearForm::Term& term : form.terms) {
      if (term.atom.IsVar(var)) {
        c = term.coefficient;
        continue;
      }
      auto range = term.atom.kind() == ExprKind::kVar ? inner.find(term.atom->name) : inner.end();
      if (range == inner.end()) return;
      most += std::max(term.coefficient * range->second.min, term.coefficient * range->second.max);
    }
    if (c != 0) cuts->insert(c > 0 ? FloorDivide(-most, c) + 1 : -FloorDivide(-most, -c));
  };
  Visit(body, [&](const Stmt& block) {
    if (block.kind() != StmtKind::kFor || !block->straight_line) return;
    Visit(block->body[0], [&](const Stmt& node) {
      if (node.kind() == StmtKind::kIf) Visit(node->value, collect);
    });
  });
}

// Such loops hold whole stages: cutting them would double the code for little.
bool Allocates(const Stmt& s) {
  bool allocates = false;
  Visit(s, [&](const Stmt& node) {
    allocates |= node.kind() == StmtKind::kAllocate && node->buffer.scope != Scope::kRegister;
  });
  return allocates;
}

// The names that the statement declares.
void AddNames(const Stmt& s, std::set<std::string>* names) {
  Visit(s, [&](const Stmt& node) {
    if (node.kind() == StmtKind::kFor || node.kind() == StmtKind::kLet) names->insert(node->name);
    if (node.kind() == StmtKind::kAllocate) names->insert(node->buffer.name);
  });
}

// What makes the names of part number `part` its own: those of an earlier part may have been cut
// into parts themselves.
std::string SuffixFor(size_t part, const Stmt& loop, const std::set<std::string>& taken) {
  if (part == 0) return "";
  std::set<std::string> names;
  AddNames(loop, &names);
  std::string suffix = absl::StrCat("@p", part);
  while (std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return taken.count(name + suffix) > 0; })) {
    suffix += "_";
  }
  return suffix;
}

// `edges`: how many of the loops around are a part that is not the longest. `taken`: every name of
// the function so far.
Stmt Partition(const Stmt& s, int edges, Ranges& ranges, std::map<std::string, Layout>& layouts,
               std::set<std::string>& taken) {
  StmtNode node = *s;
  if (s.kind() != StmtKind::kFor) {
    for (Stmt& child : node.body) child = Partition(child, edges, ranges, layouts, taken);
    if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
    return Stmt(std::move(node));
  }
  if (node.straight_line) return s;
  std::set<int64_t> cuts;
  if (edges < kCorner && node.extent.IsInt() && node.loop_kind != LoopKind::kParallel &&
      !Allocates(node.body[0])) {
    Visit(node.body[0], nullptr, [&](const Expr& e) { CollectCuts(e, node.name, ranges, &cuts); });
    CollectBlockCuts(node.body[0], node.name, ranges, &cuts);
    cuts.erase(cuts.begin(), cuts.upper_bound(0));
    cuts.erase(cuts.lower_bound(node.extent->int_value), cuts.end());
  }
  if (cuts.empty() || cuts.size() > kCutsMax) {
    ScopedRange range(ranges, node.name, node.extent);
    node.body[0] = Partition(node.body[0], edges, ranges, layouts, taken);
    return Stmt(std::move(node));
  }
  cuts.insert(node.extent->int_value);
  int64_t longest = 0;
  for (int64_t begin = 0; const int64_t end : cuts) {
    longest = std::max(longest, end - begin);
    begin = end;
  }
  std::vector<Stmt> parts;
  int64_t begin = 0;
  for (int64_t end : cuts) {
    const size_t part = parts.size();
    const std::string suffix = SuffixFor(part, s, taken);
    const std::string var = node.name + suffix;
    Stmt body = part == 0 ? node.body[0] : CopyWithSuffix(node.body[0], suffix);
    Visit(node.body[0], [&](const Stmt& inner) {
      if (inner.kind() != StmtKind::kAllocate) return;
      const std::string& buffer = inner->buffer.name;
      layouts.emplace(buffer + suffix, layouts.at(buffer));
    });
    body = Substitute(body, {{node.name, Var(var) + begin}});
    taken.insert(var);
    AddNames(body, &taken);
    const Expr extent = Int(end - begin);
    {
      ScopedRange range(ranges, var, extent);
      body = SimplifyStmt(body, ranges);
      const int is_edge = end - begin < longest ? 1 : 0;
      body = Partition(body, edges + is_edge, ranges, layouts, taken);
    }
    parts.push_back(For(var, extent, node.loop_kind, body));
    begin = end;
  }
  return Block(std::move(parts));
}

}  // namespace

Stmt PartitionLoops(const Stmt& s, Ranges& ranges, std::map<std::string, Layout>& layouts) {
  std::set<std::string> taken;
  AddNames(s, &taken);
  return Partition(s, 0, ranges, layouts, taken);
}

}  // namespace hone
