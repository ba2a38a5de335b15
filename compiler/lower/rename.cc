#include "compiler/lower/rename.h"

namespace hone {

Stmt RenameAll(const Stmt& s, const std::map<std::string, Expr>& vars,
               const std::map<std::string, std::string>& buffers) {
  auto rename_buffer = [&](const std::string& name) {
    auto found = buffers.find(name);
    return found == buffers.end() ? name : found->second;
  };
  auto rename_expr = [&](const Expr& e) {
    return Rewrite(e, [&](const Expr& node) {
      if (node.kind() == ExprKind::kVar) {
        auto found = vars.find(node->name);
        return found == vars.end() ? Expr() : found->second;
      }
      if (node.kind() != ExprKind::kLoad || !buffers.count(node->name)) return Expr();
      return Load(rename_buffer(node->name), node.type().dtype, Indices(node), Otherwise(node));
    });
  };
  return Rewrite(
      s,
      [&](const Stmt& node) {
        StmtNode renamed = *node;
        if (node.kind() == StmtKind::kFor || node.kind() == StmtKind::kLet) {
          auto found = vars.find(node->name);
          if (found == vars.end()) return Stmt();
          renamed.name = found->second->name;
          renamed.source = rename_buffer(node->source);
        } else if (node.kind() == StmtKind::kStore || node.kind() == StmtKind::kPrefetch) {
          renamed.name = rename_buffer(node->name);
        } else if (node.kind() == StmtKind::kTile) {
          renamed.name = rename_buffer(node->name);
          renamed.source = rename_buffer(node->source);
          renamed.right = rename_buffer(node->right);
        } else if (node.kind() == StmtKind::kAllocate) {
          renamed.buffer.name = rename_buffer(node->buffer.name);
        } else {
          return Stmt();
        }
        return Stmt(std::move(renamed));
      },
      rename_expr);
}

Stmt CopyWithSuffix(const Stmt& s, const std::string& suffix) {
  std::map<std::string, Expr> vars;
  std::map<std::string, std::string> buffers;
  Visit(s, [&](const Stmt& node) {
    if (node.kind() == StmtKind::kFor) vars[node->name] = Var(node->name + suffix);
    if (node.kind() == StmtKind::kLet) {
      vars[node->name] = Var(node->name + suffix, node->value.type());
    }
    if (node.kind() == StmtKind::kAllocate) {
      buffers[node->buffer.name] = node->buffer.name + suffix;
    }
  });
  if (vars.empty() && buffers.empty()) return s;
  return RenameAll(s, vars, buffers);
}

}  // namespace hone
