#include "compiler/ir/stmt.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

bool DeclaresNames(const Stmt& block) {
  for (const Stmt& s : block->body) {
    if (s.kind() == StmtKind::kLet || s.kind() == StmtKind::kAllocate) return true;
  }
  return false;
}

Stmt Tile(TileOp op, absl::string_view tiles, absl::string_view source, std::vector<Expr> indices) {
  StmtNode node{.kind = StmtKind::kTile, .tile_op = op};
  node.name = std::string(tiles);
  node.source = std::string(source);
  node.indices = std::move(indices);
  return Stmt(std::move(node));
}

bool EqualAll(const std::vector<Expr>& a, const std::vector<Expr>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equal(a[i], b[i])) return false;
  }
  return true;
}

bool EqualBuffers(const Buffer& a, const Buffer& b) {
  return a.name == b.name && a.dtype == b.dtype && a.scope == b.scope && a.role == b.role &&
         EqualAll(a.shape, b.shape);
}

}  // namespace

Stmt::Stmt(StmtNode node) : node_(std::make_shared<const StmtNode>(std::move(node))) {}

Stmt For(absl::string_view var, Expr extent, LoopKind kind, Stmt body, bool straight_line) {
  StmtNode node{.kind = StmtKind::kFor, .loop_kind = kind, .straight_line = straight_line};
  node.name = std::string(var);
  node.extent = std::move(extent);
  node.body = {std::move(body)};
  return Stmt(std::move(node));
}

Stmt Store(absl::string_view buffer, std::vector<Expr> indices, Expr value) {
  StmtNode node{.kind = StmtKind::kStore};
  node.name = std::string(buffer);
  node.indices = std::move(indices);
  node.value = std::move(value);
  return Stmt(std::move(node));
}

Stmt Let(absl::string_view name, Expr value) {
  StmtNode node{.kind = StmtKind::kLet};
  node.name = std::string(name);
  node.value = std::move(value);
  return Stmt(std::move(node));
}

Stmt If(Expr condition, Stmt then_body, Stmt else_body) {
  if (condition.IsInt(1)) return then_body;
  if (condition.IsInt(0)) return else_body ? else_body : Block({});
  StmtNode node{.kind = StmtKind::kIf};
  node.value = std::move(condition);
  node.body = {std::move(then_body)};
  if (else_body) node.body.push_back(std::move(else_body));
  return Stmt(std::move(node));
}

Stmt Block(std::vector<Stmt> statements) {
  StmtNode node{.kind = StmtKind::kBlock};
  for (Stmt& s : statements) {
    if (!s) continue;
    if (s.kind() == StmtKind::kBlock && !DeclaresNames(s)) {
      node.body.insert(node.body.end(), s->body.begin(), s->body.end());
    } else {
      node.body.push_back(std::move(s));
    }
  }
  if (node.body.size() == 1) return node.body[0];
  return Stmt(std::move(node));
}

Stmt Allocate(Buffer buffer) {
  StmtNode node{.kind = StmtKind::kAllocate};
  node.buffer = std::move(buffer);
  return Stmt(std::move(node));
}

Stmt Prefetch(absl::string_view buffer, std::vector<Expr> indices, Expr ahead) {
  StmtNode node{.kind = StmtKind::kPrefetch};
  node.name = std::string(buffer);
  node.indices = std::move(indices);
  node.value = std::move(ahead);
  return Stmt(std::move(node));
}

Stmt TileZero(absl::string_view tiles, int64_t number) {
  return Tile(TileOp::kZero, tiles, "", {Int(number)});
}

Stmt TileLoad(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
              Expr row_stride) {
  return Tile(TileOp::kLoad, tiles, memory, {Int(number), std::move(at), std::move(row_stride)});
}

Stmt TileStream(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
                Expr row_stride) {
  return Tile(TileOp::kStream, tiles, memory, {Int(number), std::move(at), std::move(row_stride)});
}

Stmt TileStore(absl::string_view tiles, int64_t number, absl::string_view memory, Expr at,
               Expr row_stride) {
  return Tile(TileOp::kStore, tiles, memory, {Int(number), std::move(at), std::move(row_stride)});
}

Stmt TileMultiply(absl::string_view intrinsic, absl::string_view tiles, int64_t number,
                  absl::string_view left, int64_t left_number, absl::string_view right,
                  int64_t right_number) {
  StmtNode node{.kind = StmtKind::kTile, .tile_op = TileOp::kMultiply};
  node.name = std::string(tiles);
  node.source = std::string(left);
  node.right = std::string(right);
  node.intrinsic = std::string(intrinsic);
  node.indices = {Int(number), Int(left_number), Int(right_number)};
  return Stmt(std::move(node));
}

const Buffer* Program::FindBuffer(absl::string_view name) const {
  for (const Buffer& buffer : buffers) {
    if (buffer.name == name) return &buffer;
  }
  return nullptr;
}

void Visit(const Stmt& s, const std::function<void(const Stmt&)>& on_stmt,
           const std::function<void(const Expr&)>& on_expr) {
  if (on_stmt) on_stmt(s);
  if (on_expr) {
    if (s->extent) on_expr(s->extent);
    for (const Expr& index : s->indices) on_expr(index);
    if (s->value) on_expr(s->value);
    for (const Expr& extent : s->buffer.shape) on_expr(extent);
  }
  for (const Stmt& child : s->body) Visit(child, on_stmt, on_expr);
}

Stmt Rewrite(const Stmt& s, const std::function<Stmt(const Stmt&)>& on_stmt,
             const std::function<Expr(const Expr&)>& on_expr) {
  if (!on_expr && s->body.empty()) {
    Stmt replaced = on_stmt ? on_stmt(s) : Stmt();
    return replaced ? replaced : s;
  }
  std::optional<StmtNode> changed;
  const auto edited = [&]() -> StmtNode& { return changed ? *changed : changed.emplace(*s); };
  const auto rewrite_expr = [&](const Expr& e, auto place) {
    if (!on_expr || !e) return;
    Expr rewritten = on_expr(e);
    if (rewritten.get() != e.get()) place(edited()) = std::move(rewritten);
  };
  rewrite_expr(s->extent, [](StmtNode& node) -> Expr& { return node.extent; });
  for (size_t i = 0; i < s->indices.size(); ++i) {
    rewrite_expr(s->indices[i], [i](StmtNode& node) -> Expr& { return node.indices[i]; });
  }
  rewrite_expr(s->value, [](StmtNode& node) -> Expr& { return node.value; });
  for (size_t i = 0; i < s->buffer.shape.size(); ++i) {
    rewrite_expr(s->buffer.shape[i], [i](StmtNode& node) -> Expr& { return node.buffer.shape[i]; });
  }
  for (size_t i = 0; i < s->body.size(); ++i) {
    Stmt rewritten = Rewrite(s->body[i], on_stmt, on_expr);
    if (&*rewritten != &*s->body[i]) edited().body[i] = std::move(rewritten);
  }
  Stmt rebuilt = s;
  if (changed) {
    StmtNode& node = *changed;
    if (node.kind == StmtKind::kBlock) {
      rebuilt = Block(std::move(node.body));
    } else if (node.kind == StmtKind::kIf) {
      rebuilt = If(node.value, node.body[0], node.body.size() > 1 ? node.body[1] : Stmt());
    } else {
      rebuilt = Stmt(std::move(node));
    }
  }
  if (!on_stmt) return rebuilt;
  Stmt replaced = on_stmt(rebuilt);
  return replaced ? replaced : rebuilt;
}

Stmt Substitute(const Stmt& s, const std::map<std::string, Expr>& values) {
  return Rewrite(s, nullptr, [&](const Expr& e) { return Substitute(e, values); });
}

bool Equal(const Stmt& a, const Stmt& b) {
  if (!a || !b) return !a && !b;
  if (&*a == &*b) return true;
  if (a->kind != b->kind || a->loop_kind != b->loop_kind || a->straight_line != b->straight_line ||
      a->tile_op != b->tile_op || a->name != b->name || a->source != b->source ||
      a->right != b->right || a->intrinsic != b->intrinsic || a->body.size() != b->body.size() ||
      !EqualAll(a->indices, b->indices) || !EqualBuffers(a->buffer, b->buffer)) {
    return false;
  }
  if (!Equal(a->extent, b->extent) || !Equal(a->value, b->value)) return false;
  for (size_t i = 0; i < a->body.size(); ++i) {
    if (!Equal(a->body[i], b->body[i])) return false;
  }
  return true;
}

absl::string_view TileOpName(TileOp op) {
  switch (op) {
    case TileOp::kZero:
      return "tile_zero";
    case TileOp::kLoad:
      return "tile_load";
    case TileOp::kStream:
      return "tile_stream";
    case TileOp::kStore:
      return "tile_store";
    case TileOp::kMultiply:
      return "tile_multiply";
  }
  return "";
}

absl::string_view ScopeName(Scope scope) {
  switch (scope) {
    case Scope::kArgument:
      return "argument";
    case Scope::kScratch:
      return "scratch";
    case Scope::kRegister:
      return "register";
    case Scope::kTile:
      return "tile";
    case Scope::kFragment:
      return "fragment";
    case Scope::kShared:
      return "shared";
  }
  return "";
}

absl::string_view RoleName(BufferRole role) {
  switch (role) {
    case BufferRole::kNone:
      return "none";
    case BufferRole::kInput:
      return "input";
    case BufferRole::kConstant:
      return "constant";
    case BufferRole::kPrepared:
      return "prepared";
    case BufferRole::kOutput:
      return "output";
  }
  return "";
}

absl::string_view LoopKindName(LoopKind kind) {
  switch (kind) {
    case LoopKind::kSerial:
      return "serial";
    case LoopKind::kParallel:
      return "parallel";
    case LoopKind::kVector:
      return "vector";
    case LoopKind::kUnroll:
      return "unroll";
  }
  return "";
}

}  // namespace hone
