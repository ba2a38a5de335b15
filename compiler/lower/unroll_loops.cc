#include "compiler/lower/unroll_loops.h"

#include "absl/strings/str_cat.h"
#include "compiler/lower/rename.h"

namespace hone {

StatusOr<Stmt> UnrollLoops(const Stmt& s) {
  if (s->body.empty()) return s;  // most are leaves, and copies cost
  StmtNode node = *s;
  for (Stmt& child : node.body) {
    HONE_ASSIGN_OR_RETURN(child, UnrollLoops(child));
  }
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  if (node.kind != StmtKind::kFor || node.loop_kind != LoopKind::kUnroll)
    return Stmt(std::move(node));
  if (!node.extent.IsInt() || node.extent->int_value > 256) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loop '", node.name, "' cannot be unrolled: its extent is a parameter or above 256"));
  }
  // Nested unrolling multiplies; what it makes is bounded as a whole.
  int64_t statements = 0;
  Visit(node.body[0], [&](const Stmt&) { ++statements; });
  if (statements * node.extent->int_value > kUnrolledStatementsMax) {
    return absl::InvalidArgumentError(absl::StrCat("unrolling loop '", node.name,
                                                   "' would give more than ",
                                                   kUnrolledStatementsMax, " statements"));
  }
  std::vector<Stmt> copies;
  for (int64_t i = 0; i < node.extent->int_value; ++i) {
    Stmt copy = i == 0 ? node.body[0] : CopyWithSuffix(node.body[0], absl::StrCat("@u", i));
    copies.push_back(Substitute(copy, {{node.name, Int(i)}}));
  }
  return Block(std::move(copies));
}

}  // namespace hone
