#include "compiler/lower/flatten_buffers.h"

#include "base/check.h"
#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

class Flattener {
 public:
  explicit Flattener(const BuiltLoops& built)
      : built_(built), ranges_(ParamRanges(built.program.params)) {
    for (const Buffer& buffer : built.program.buffers) shapes_[buffer.name] = buffer.shape;
    for (const Stmt* s : {&built.program.prepare, &built.program.run}) {
      if (!*s) continue;
      Visit(*s, [&](const Stmt& node) {
        if (node.kind() == StmtKind::kAllocate) shapes_[node->buffer.name] = node->buffer.shape;
      });
    }
  }

  Program Run() {
    Program flat = built_.program;
    for (Buffer& buffer : flat.buffers) buffer.shape = {Size(buffer.name)};
    if (flat.prepare) flat.prepare = Flatten(flat.prepare);
    flat.run = Flatten(flat.run);
    return flat;
  }

 private:
  std::vector<Expr> Physical(const std::string& name) const {
    return built_.layouts.at(name).PhysicalShape(shapes_.at(name));
  }

  Expr Size(const std::string& name) const {
    Expr size = Int(1);
    for (const Expr& extent : Physical(name)) size = size * extent;
    return Simplify(size, ranges_);
  }

  Expr Position(const std::string& name, const std::vector<Expr>& indices,
                const Ranges& known) const {
    const std::vector<Expr> at = built_.layouts.at(name).PhysicalIndex(indices);
    const std::vector<Expr> extents = Physical(name);
    Expr position = Int(0);
    for (size_t d = 0; d < at.size(); ++d) position = position * extents[d] + at[d];
    return Simplify(position, known);
  }

  Expr FlattenLoads(const Expr& e, const Ranges& known) const {
    return Rewrite(e, [&](const Expr& node) {
      if (node.kind() != ExprKind::kLoad) return Expr();
      HONE_CHECK(!node->has_otherwise) << "padding must be lowered before buffers are flattened";
      return Load(node->name, node.type().dtype, {Position(node->name, node.args(), known)});
    });
  }

  Stmt Flatten(const Stmt& s) {
    StmtNode node = *s;
    switch (s.kind()) {
      case StmtKind::kFor: {
        ScopedRange range(ranges_, node.name, node.extent);
        node.body[0] = Flatten(node.body[0]);
        return Stmt(std::move(node));
      }
      case StmtKind::kStore:
      case StmtKind::kPrefetch:
        node.indices = {Position(node.name, node.indices, ranges_)};
        if (s.kind() == StmtKind::kPrefetch) {
          if (node.value) node.indices[0] = Simplify(node.indices[0] + node.value, ranges_);
          node.value = Expr();
        }
        if (node.value) node.value = FlattenLoads(node.value, ranges_);
        return Stmt(std::move(node));
      case StmtKind::kLet:
      case StmtKind::kIf:
        node.value = FlattenLoads(node.value, ranges_);
        break;
      case StmtKind::kAllocate:
        node.buffer.shape = {Size(node.buffer.name)};
        break;
      case StmtKind::kBlock:
      case StmtKind::kTile:
        break;
    }
    for (Stmt& child : node.body) child = Flatten(child);
    return Stmt(std::move(node));
  }

  const BuiltLoops& built_;
  Ranges ranges_;
  std::map<std::string, std::vector<Expr>> shapes_;
};

}  // namespace

Program FlattenBuffers(const BuiltLoops& built) { return Flattener(built).Run(); }

}  // namespace hone
