#include "compiler/lower/unique_names.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// The name that a statement declares; empty for most.
std::string Declared(const Stmt& s) {
  switch (s.kind()) {
    case StmtKind::kFor:
    case StmtKind::kLet:
      return s->name;
    case StmtKind::kAllocate:
      return s->buffer.name;
    default:
      return "";
  }
}

// New names of what is in scope under an old one. A loop and a buffer of one name are two things.
using Names = std::map<std::string, std::string>;
struct Renamed {
  Names variables;
  Names buffers;
};

class Renamer {
 public:
  explicit Renamer(std::set<std::string> taken) : taken_(std::move(taken)) {}

  Stmt Rename(const Stmt& s, Renamed& scope) {
    StmtNode node = *s;
    if (node.extent) node.extent = RenameUses(node.extent, scope);
    if (node.value) node.value = RenameUses(node.value, scope);
    for (Expr& index : node.indices) index = RenameUses(index, scope);
    for (Expr& extent : node.buffer.shape) extent = RenameUses(extent, scope);
    if (s.kind() == StmtKind::kStore || s.kind() == StmtKind::kPrefetch) {
      node.name = Current(node.name, scope.buffers);
    }
    if (s.kind() == StmtKind::kTile) {
      for (std::string* buffer : {&node.name, &node.source, &node.right}) {
        *buffer = Current(*buffer, scope.buffers);
      }
    }
    if (s.kind() == StmtKind::kLet) node.name = Declare(node.name, scope.variables);
    if (s.kind() == StmtKind::kAllocate)
      node.buffer.name = Declare(node.buffer.name, scope.buffers);
    if (!node.body.empty()) {
      Renamed inside = scope;
      if (s.kind() == StmtKind::kFor) node.name = Declare(node.name, inside.variables);
      for (Stmt& child : node.body) {
        if (s.kind() == StmtKind::kBlock) {
          child = Rename(child, inside);
        } else {
          Renamed own = inside;
          child = Rename(child, own);
        }
      }
    }
    return Stmt(std::move(node));
  }

 private:
  static std::string Current(const std::string& name, const Names& scope) {
    const auto found = scope.find(name);
    return found == scope.end() ? name : found->second;
  }

  std::string Declare(const std::string& name, Names& scope) {
    if (seen_.insert(name).second) return name;
    std::string fresh;
    for (int i = 2; fresh.empty() || !taken_.insert(fresh).second; ++i) {
      fresh = absl::StrCat(name, "@", i);
    }
    scope[name] = fresh;
    return fresh;
  }

  static Expr RenameUses(const Expr& e, const Renamed& scope) {
    if (scope.variables.empty() && scope.buffers.empty()) return e;
    return Rewrite(e, [&](const Expr& node) {
      const bool variable = node.kind() == ExprKind::kVar;
      if (!variable && node.kind() != ExprKind::kLoad) return Expr();
      const Names& names = variable ? scope.variables : scope.buffers;
      const auto found = names.find(node->name);
      if (found == names.end()) return Expr();
      if (variable) return Var(found->second, node.type());
      return Load(found->second, node.type().dtype, Indices(node), Otherwise(node));
    });
  }

  std::set<std::string> taken_;  // all names there are
  std::set<std::string> seen_;   // declared so far
};

}  // namespace

Stmt UniqueNames(const Stmt& s) {
  std::set<std::string> names;
  bool unique = true;
  Visit(s, [&](const Stmt& node) {
    const std::string name = Declared(node);
    if (!name.empty() && !names.insert(name).second) unique = false;
  });
  if (unique) return s;
  Renamed scope;
  return Renamer(std::move(names)).Rename(s, scope);
}

}  // namespace hone
