#include "compiler/ir/verify.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/tensor_intrinsic.h"

namespace hone {
namespace {

class Verifier {
 public:
  Verifier(const Program& program, ProgramStage stage) : program_(program), stage_(stage) {}

  Status CheckFunction(const Stmt& body, absl::string_view function) {
    names_.clear();
    variables_.clear();
    buffers_.clear();
    for (const Param& param : program_.params) {
      HONE_RETURN_IF_ERROR(Declare(param.name));
      variables_[param.name] = Type{DType::kI64, 1};
    }
    for (const Buffer& buffer : program_.buffers) {
      HONE_RETURN_IF_ERROR(Declare(buffer.name));
      if (buffer.scope != Scope::kArgument || buffer.role == BufferRole::kNone) {
        return Bad("argument '", buffer.name, "' has no role, or the scope of a local buffer");
      }
      buffers_[buffer.name] = buffer;
    }
    const Status status = Check(body, {});
    if (status.ok()) return status;
    return absl::InvalidArgumentError(absl::StrCat(function, ": ", status.message()));
  }

 private:
  struct Where {
    bool in_loop = false;
    bool in_parallel = false;
  };

  template <typename... Parts>
  static Status Bad(const Parts&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(parts...));
  }

  Status Declare(const std::string& name) {
    if (name.empty()) return Bad("a name is empty");
    if (names_.insert(name).second) return absl::OkStatus();
    return Bad("the name '", name, "' is declared twice");
  }

  Status Check(const Stmt& s, Where where) {
    switch (s.kind()) {
      case StmtKind::kBlock: {
        // What a block declares ends with it.
        const auto variables = variables_;
        const auto buffers = buffers_;
        for (const Stmt& child : s->body) HONE_RETURN_IF_ERROR(Check(child, where));
        variables_ = variables;
        buffers_ = buffers;
        return absl::OkStatus();
      }
      case StmtKind::kFor:
        return CheckFor(s, where);
      case StmtKind::kIf: {
        HONE_RETURN_IF_ERROR(CheckExpr(s->value));
        if (s->value.type() != Type{DType::kBool, 1}) return Bad("a condition is not a bool");
        for (const Stmt& child : s->body) HONE_RETURN_IF_ERROR(Check(child, where));
        return absl::OkStatus();
      }
      case StmtKind::kLet:
        HONE_RETURN_IF_ERROR(CheckExpr(s->value));
        HONE_RETURN_IF_ERROR(Declare(s->name));
        variables_[s->name] = s->value.type();
        return absl::OkStatus();
      case StmtKind::kAllocate:
        return CheckAllocate(s->buffer);
      case StmtKind::kStore:
        return CheckStore(s);
      case StmtKind::kPrefetch:
        if (buffers_.count(s->name) > 0 && buffers_[s->name].scope == Scope::kRegister) {
          return Bad("register buffer '", s->name, "' is prefetched");
        }
        return CheckAccess(s->name, s->indices);
      case StmtKind::kTile:
        return CheckTile(s);
    }
    return absl::OkStatus();
  }

  Status CheckFor(const Stmt& s, Where where) {
    HONE_RETURN_IF_ERROR(CheckExpr(s->extent));
    if (s->extent.type() != Type{DType::kI64, 1}) {
      return Bad("the extent of loop '", s->name, "' is not an i64");
    }
    HONE_RETURN_IF_ERROR(Declare(s->name));
    const bool lowered = stage_ == ProgramStage::kLowered;
    if (lowered && (s->loop_kind == LoopKind::kVector || s->loop_kind == LoopKind::kUnroll)) {
      return Bad("loop '", s->name, "' of kind ", LoopKindName(s->loop_kind), " is not lowered");
    }
    if (lowered && !s->intrinsic.empty()) {
      return Bad("loop '", s->name, "' is not yet made of ", s->intrinsic);
    }
    const auto variables = variables_;
    const auto buffers = buffers_;
    if (s->loop_kind == LoopKind::kParallel) {
      if (lowered && where.in_loop) {
        return Bad("parallel loop '", s->name, "' is not the outermost of its nest");
      }
      if (lowered) DropForParallel();
      where.in_parallel = true;
    }
    where.in_loop = true;
    variables_[s->name] = Type{DType::kI64, 1};
    HONE_RETURN_IF_ERROR(Check(s->body[0], where));
    variables_ = variables;
    buffers_ = buffers;
    return absl::OkStatus();
  }

  // A parallel body sees the kernel's arguments and shared scratch: no lets, no registers.
  void DropForParallel() {
    variables_.clear();
    for (const Param& param : program_.params) variables_[param.name] = Type{DType::kI64, 1};
    for (auto it = buffers_.begin(); it != buffers_.end();) {
      const bool is_own = it->second.scope == Scope::kRegister || it->second.scope == Scope::kTile;
      it = is_own ? buffers_.erase(it) : std::next(it);
    }
  }

  Status CheckAllocate(const Buffer& buffer) {
    for (const Expr& extent : buffer.shape) HONE_RETURN_IF_ERROR(CheckExpr(extent));
    HONE_RETURN_IF_ERROR(Declare(buffer.name));
    if (buffer.scope == Scope::kArgument || buffer.role != BufferRole::kNone) {
      return Bad("local buffer '", buffer.name, "' has the scope or role of an argument");
    }
    if (buffer.scope == Scope::kRegister) {
      for (const Expr& extent : buffer.shape) {
        if (!extent.IsInt()) return Bad("register buffer '", buffer.name, "' has no fixed size");
      }
    }
    buffers_[buffer.name] = buffer;
    if (buffer.scope != Scope::kTile || stage_ != ProgramStage::kLowered) return absl::OkStatus();
    int64_t tiles = 0;
    for (const auto& [name, other] : buffers_) {
      if (other.scope != Scope::kTile) continue;
      const bool is_tiles = other.shape.size() == 3 && other.shape[0].IsInt() &&
                            other.shape[1].IsInt(kTileRows) &&
                            other.shape[2].IsInt(kTileRowBytes / DTypeBytes(other.dtype));
      if (!is_tiles) {
        return Bad("tile buffer '", name, "' is not some tiles of ", kTileRows, " rows of ",
                   kTileRowBytes, " bytes");
      }
      tiles += other.shape[0]->int_value;
    }
    if (tiles <= kTileRegisters) return absl::OkStatus();
    return Bad("with '", buffer.name, "' there are ", tiles, " tiles at once; a matrix unit has ",
               kTileRegisters);
  }

  // A tile that a statement names.
  Status CheckTileNumber(const std::string& name, const Expr& number, DType dtype) {
    const auto found = buffers_.find(name);
    if (found == buffers_.end() || found->second.scope != Scope::kTile) {
      return Bad("there is no tile buffer '", name, "' here");
    }
    const Buffer& buffer = found->second;
    if (buffer.dtype != dtype) {
      return Bad("tile buffer '", name, "' has tiles of ", DTypeName(buffer.dtype), ", not ",
                 DTypeName(dtype));
    }
    if (number.IsInt() && number->int_value >= 0 &&
        number->int_value < buffer.shape[0]->int_value) {
      return absl::OkStatus();
    }
    return Bad("a tile of '", name, "' is not named by a constant below ",
               buffer.shape[0]->int_value);
  }

  Status CheckTile(const Stmt& s) {
    if (stage_ != ProgramStage::kLowered) return Bad("a tile statement before lowering");
    const auto tiles = buffers_.find(s->name);
    const DType dtype = tiles == buffers_.end() ? DType::kF32 : tiles->second.dtype;
    HONE_RETURN_IF_ERROR(CheckTileNumber(s->name, s->indices[0], dtype));
    if (s->tile_op == TileOp::kZero) return absl::OkStatus();
    if (s->tile_op == TileOp::kMultiply) {
      HONE_ASSIGN_OR_RETURN(const TensorIntrinsic* intrinsic, TensorIntrinsicOrError(s->intrinsic));
      if (intrinsic->IsDot()) return Bad("intrinsic ", s->intrinsic, " does not multiply tiles");
      HONE_RETURN_IF_ERROR(CheckTileNumber(s->name, s->indices[0], intrinsic->result));
      HONE_RETURN_IF_ERROR(CheckTileNumber(s->source, s->indices[1], intrinsic->left));
      return CheckTileNumber(s->right, s->indices[2], intrinsic->right);
    }
    HONE_RETURN_IF_ERROR(CheckAccess(s->source, {s->indices[1]}));
    HONE_RETURN_IF_ERROR(CheckExpr(s->indices[2]));
    const Buffer& memory = buffers_[s->source];
    if (memory.scope == Scope::kRegister || memory.scope == Scope::kTile || memory.dtype != dtype ||
        s->indices[2].type() != Type{DType::kI64, 1} || s->indices[1].type().lanes != 1) {
      return Bad("'", s->source, "' is not memory of ", DTypeName(dtype), " to move a tile of '",
                 s->name, "' from or to");
    }
    if (s->tile_op == TileOp::kStore &&
        (memory.role == BufferRole::kInput || memory.role == BufferRole::kConstant)) {
      return Bad("'", s->source, "' is read-only and is stored to");
    }
    return absl::OkStatus();
  }

  Status CheckStore(const Stmt& s) {
    HONE_RETURN_IF_ERROR(CheckExpr(s->value));
    HONE_RETURN_IF_ERROR(CheckAccess(s->name, s->indices));
    const Buffer& buffer = buffers_[s->name];
    int lanes = 1;
    for (const Expr& index : s->indices) lanes = std::max(lanes, index.type().lanes);
    if (s->value.type() != Type{buffer.dtype, lanes}) {
      return Bad("a ", DTypeName(s->value.type().dtype), "x", s->value.type().lanes,
                 " is stored to '", s->name, "', which takes ", DTypeName(buffer.dtype), "x", lanes,
                 " there");
    }
    if (buffer.role == BufferRole::kInput || buffer.role == BufferRole::kConstant) {
      return Bad("'", s->name, "' is read-only and is stored to");
    }
    return absl::OkStatus();
  }

  Status CheckAccess(const std::string& name, const std::vector<Expr>& indices) {
    const auto found = buffers_.find(name);
    if (found == buffers_.end()) return Bad("there is no buffer '", name, "' here");
    const Buffer& buffer = found->second;
    const bool flat = indices.size() == 1;
    if (!flat && (stage_ == ProgramStage::kLowered || indices.size() != buffer.shape.size())) {
      return Bad("'", name, "' is accessed with ", indices.size(), " indices");
    }
    for (const Expr& index : indices) {
      HONE_RETURN_IF_ERROR(CheckExpr(index));
      if (index.type().dtype != DType::kI64) return Bad("an index of '", name, "' is not an i64");
    }
    if (stage_ == ProgramStage::kLowered && buffer.scope == Scope::kTile) {
      return Bad("tile buffer '", name, "' is accessed element by element");
    }
    if (stage_ == ProgramStage::kLowered && buffer.scope == Scope::kRegister) {
      const Expr& index = indices[0];
      const bool constant = index.IsInt() || (index.kind() == ExprKind::kRamp &&
                                              index.arg(0).IsInt() && index.arg(1).IsInt(1));
      if (!constant) return Bad("register buffer '", name, "' is not indexed by a constant");
    }
    return absl::OkStatus();
  }

  Status CheckExpr(const Expr& e) {
    for (const Expr& arg : e.args()) HONE_RETURN_IF_ERROR(CheckExpr(arg));
    if (e.kind() == ExprKind::kVar) {
      const auto found = variables_.find(e->name);
      if (found == variables_.end()) return Bad("there is no variable '", e->name, "' here");
      if (found->second != e.type()) return Bad("variable '", e->name, "' has another type here");
    }
    if (e.kind() == ExprKind::kBinary && e.arg(0).type() != e.arg(1).type()) {
      return Bad("the operands of '", BinaryName(e->binary), "' differ in type");
    }
    if (e.kind() == ExprKind::kDot) {
      const TensorIntrinsic* dot = FindTensorIntrinsic(e->name);
      if (dot == nullptr || !dot->IsDot()) return Bad("there is no dot intrinsic '", e->name, "'");
    }
    if (e.kind() != ExprKind::kLoad) return absl::OkStatus();
    if (stage_ == ProgramStage::kLowered && e->has_otherwise) {
      return Bad("the load of '", e->name, "' still has an 'else'");
    }
    HONE_RETURN_IF_ERROR(CheckAccess(e->name, Indices(e)));
    if (buffers_[e->name].dtype != e.type().dtype) {
      return Bad("'", e->name, "' is loaded as ", DTypeName(e.type().dtype));
    }
    return absl::OkStatus();
  }

  const Program& program_;
  const ProgramStage stage_;
  std::set<std::string> names_;  // of the whole function
  std::map<std::string, Type> variables_;
  std::map<std::string, Buffer> buffers_;
};

}  // namespace

Status Verify(const Program& program, ProgramStage stage) {
  if (!program.run) return absl::InvalidArgumentError("the program has no 'run'");
  Verifier verifier(program, stage);
  if (program.prepare) HONE_RETURN_IF_ERROR(verifier.CheckFunction(program.prepare, "prepare"));
  return verifier.CheckFunction(program.run, "run");
}

}  // namespace hone
