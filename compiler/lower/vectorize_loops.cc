#include "compiler/lower/vectorize_loops.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/ir/expr_text.h"
#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/rename.h"
#include "compiler/lower/vectorize_reduction.h"

namespace hone {
namespace {

// Vectors written out one after the other; a loop around them from there on.
constexpr int64_t kPiecesWrittenOut = 8;

// The widest element a loop computes with or stores decides how many fit a register.
int64_t WidestElement(const Stmt& s) {
  int64_t widest = 1;
  Visit(s, nullptr, [&](const Expr& e) {
    Visit(e, [&](const Expr& node) {
      const bool index = node.type().dtype == DType::kI64 || node.type().dtype == DType::kBool;
      if (!index || node.kind() == ExprKind::kLoad) {
        widest = std::max(widest, DTypeBytes(node.type().dtype));
      }
    });
  });
  return widest;
}

class Vectorizer {
 public:
  Vectorizer(const std::string& var, const Expr& offset, int lanes, const Ranges& ranges)
      : var_(var), offset_(offset), lanes_(lanes), ranges_(ranges) {}

  // Broadcast where the expression is the same in every lane.
  Expr Wide(const Expr& e) { return Broadcast(Vectorize(e), lanes_); }

  Expr Vectorize(const Expr& e) {
    if (!Varies(e)) return e;
    switch (e.kind()) {
      case ExprKind::kVar: {
        auto let = wide_lets.find(e->name);
        return let != wide_lets.end() ? let->second : Index(e);
      }
      case ExprKind::kLoad:
        return Load(e->name, e.type().dtype, {Index(e.arg(0))});
      case ExprKind::kDot:
        return WithArgs(e, {Wide(e.arg(0)), DotOperand(e.arg(1)), DotOperand(e.arg(2))});
      default:
        break;
    }
    if (e.type() == Type{}) return Index(e);
    std::vector<Expr> args;
    for (const Expr& arg : e.args()) args.push_back(Wide(arg));
    return WithArgs(e, std::move(args));
  }

  // What a dot reads for one lane is a run of neighbours; the runs of neighbouring lanes lie one
  // after the other, or all lanes read the same.
  Expr DotOperand(const Expr& e) {
    const int group = e.type().lanes;
    if (!Varies(e)) return Repeat(e, group * lanes_);
    const Expr& first = e.arg(0).kind() == ExprKind::kRamp ? e.arg(0).arg(0) : e.arg(0);
    const Expr runs = Index(first);
    if (runs.kind() != ExprKind::kRamp || !runs.arg(1).IsInt(group)) {
      if (status_.ok()) {
        status_ = absl::InvalidArgumentError(absl::StrCat(
            "the lanes of loop '", var_, "' do not read runs of ", group, " elements of '", e->name,
            "' one after the other; give it a layout that ends in both, as in 1/8,0/", group,
            ",1%8,0%", group));
      }
      return Repeat(Load(e->name, e.type().dtype, {Ramp(Int(0), Int(1), group)}), group * lanes_);
    }
    return Load(e->name, e.type().dtype, {Ramp(runs.arg(0), Int(1), group * lanes_)});
  }

  // An index expression: a ramp where it is linear in the variable.
  Expr Index(const Expr& e) {
    if (!Varies(e)) return e;
    bool plain = true;
    for (const auto& [name, value] : wide_lets) plain &= !UsesVar(e, name);
    if (plain) {
      // Within one vector the variable has few values: floordivs and floormods of it may vanish.
      Ranges lane_ranges = ranges_;
      lane_ranges[var_] = {0, lanes_ - 1};
      LinearForm form = Linearize(Substitute(e, {{var_, offset_ + Var(var_)}}), lane_ranges);
      if (!form.HidesVariable(var_)) {
        const Expr stride = Int(form.CoefficientOf(var_));
        return Ramp(Substitute(form.ToExpr(), {{var_, Int(0)}}), stride, lanes_);
      }
    }
    if (e.kind() == ExprKind::kVar) {
      auto let = wide_lets.find(e->name);
      return let != wide_lets.end() ? let->second : Ramp(offset_, Int(1), lanes_);
    }
    std::vector<Expr> args;
    for (const Expr& arg : e.args()) args.push_back(Wide(arg));
    if (e.kind() == ExprKind::kLoad) return Load(e->name, e.type().dtype, args);
    return WithArgs(e, std::move(args));
  }

  bool Varies(const Expr& e) const {
    if (UsesVar(e, var_)) return true;
    for (const auto& [name, value] : wide_lets) {
      if (UsesVar(e, name)) return true;
    }
    return false;
  }

  StatusOr<Stmt> Vectorize(const Stmt& s) {
    StmtNode node = *s;
    switch (s.kind()) {
      case StmtKind::kStore: {
        Expr index = Index(node.indices[0]);
        Expr value = Vectorize(node.value);
        HONE_RETURN_IF_ERROR(status_);
        if (index.type().lanes == 1) {
          // Once is as good as once a lane, unless each adds to what was there.
          if (value.type().lanes == 1 && !Reads(node.value, node.name)) return s;
          return absl::InvalidArgumentError(absl::StrCat(
              "the lanes of loop '", var_, "' all store to one element of '", node.name, "'"));
        }
        return Store(node.name, {index}, Broadcast(value, lanes_));
      }
      case StmtKind::kLet: {
        Expr value = Vectorize(node.value);
        if (value.type().lanes > 1) wide_lets[node.name] = Var(node.name, value.type());
        return Let(node.name, value);
      }
      case StmtKind::kFor: {
        if (Varies(node.extent)) {
          return absl::InvalidArgumentError(absl::StrCat(
              "the extent of loop '", node.name, "' differs between lanes of '", var_, "'"));
        }
        HONE_ASSIGN_OR_RETURN(node.body[0], Vectorize(node.body[0]));
        return Stmt(std::move(node));
      }
      case StmtKind::kIf:
        if (Varies(node.value)) {
          return absl::InvalidArgumentError(
              absl::StrCat("a condition differs between lanes of '", var_, "'"));
        }
        [[fallthrough]];
      case StmtKind::kBlock: {
        std::vector<Stmt> children;
        for (const Stmt& child : node.body) {
          HONE_ASSIGN_OR_RETURN(Stmt vectorized, Vectorize(child));
          children.push_back(std::move(vectorized));
        }
        if (s.kind() == StmtKind::kBlock) return Block(std::move(children));
        node.body = std::move(children);
        return Stmt(std::move(node));
      }
      case StmtKind::kAllocate:
        return absl::InvalidArgumentError(
            absl::StrCat("a buffer is allocated inside the vector loop '", var_, "'"));
      case StmtKind::kPrefetch:
      case StmtKind::kTile:
        return s;
    }
    return s;
  }

  std::map<std::string, Expr> wide_lets;

 private:
  static bool Reads(const Expr& e, const std::string& buffer) {
    bool reads = false;
    Visit(e, [&](const Expr& n) { reads |= n.kind() == ExprKind::kLoad && n->name == buffer; });
    return reads;
  }

  const std::string& var_;
  Expr offset_;
  int lanes_;
  const Ranges& ranges_;
  Status status_;
};

StatusOr<Stmt> OnePiece(const Stmt& loop, const Expr& offset, int lanes, const std::string& suffix,
                        const Ranges& ranges) {
  Stmt body = suffix.empty() ? loop->body[0] : CopyWithSuffix(loop->body[0], suffix);
  if (lanes == 1) return Substitute(body, {{loop->name, offset}});
  return Vectorizer(loop->name, offset, lanes, ranges).Vectorize(body);
}

// A vector loop whose extent is a parameter: full vectors in a loop, then single points.
StatusOr<Stmt> ParametricLoop(const Stmt& loop, int lanes, Ranges& ranges) {
  const Expr full = FloorDiv(loop->extent, lanes);
  Stmt vectors;
  {
    ScopedRange range(ranges, loop->name + "@v", full);
    HONE_ASSIGN_OR_RETURN(Stmt body,
                          OnePiece(loop, Var(loop->name + "@v") * lanes, lanes, "", ranges));
    vectors = For(loop->name + "@v", full, LoopKind::kSerial, body);
  }
  HONE_ASSIGN_OR_RETURN(Stmt point,
                        OnePiece(loop, Var(loop->name + "@s") + full * lanes, 1, "@s", ranges));
  Stmt points = For(loop->name + "@s", FloorMod(loop->extent, lanes), LoopKind::kSerial, point);
  return Block({vectors, points});
}

}  // namespace

std::vector<VectorPiece> CutIntoVectors(int64_t extent, int lanes) {
  std::vector<VectorPiece> pieces;
  int64_t offset = 0;
  for (int width = lanes; width >= 1; width /= 2) {
    for (; offset + width <= extent; offset += width) pieces.push_back({offset, width});
  }
  return pieces;
}

Expr VectorizeExpr(const Expr& e, const std::string& var, const Expr& offset, int lanes,
                   const Ranges& ranges) {
  return Vectorizer(var, offset, lanes, ranges).Vectorize(e);
}

StatusOr<Stmt> VectorizeStore(const Stmt& store, const std::string& var, const Expr& offset,
                              int lanes, const Ranges& ranges) {
  return Vectorizer(var, offset, lanes, ranges).Vectorize(store);
}

StatusOr<Stmt> VectorizeLoops(const Stmt& s, int vector_bits, Ranges& ranges) {
  if (s->body.empty()) return s;  // most are leaves, and copies cost
  StmtNode node = *s;
  if (s.kind() != StmtKind::kFor) {
    for (Stmt& child : node.body) {
      HONE_ASSIGN_OR_RETURN(child, VectorizeLoops(child, vector_bits, ranges));
    }
    if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
    return Stmt(std::move(node));
  }
  {
    ScopedRange range(ranges, node.name, node.extent);
    HONE_ASSIGN_OR_RETURN(node.body[0], VectorizeLoops(node.body[0], vector_bits, ranges));
  }
  Stmt loop(node);
  if (node.loop_kind != LoopKind::kVector) return loop;
  const int lanes = static_cast<int>(vector_bits / (8 * WidestElement(loop)));
  if (AccumulatesInOnePlace(loop)) return VectorizeReduction(loop, lanes, ranges);
  if (!node.extent.IsInt()) return ParametricLoop(loop, lanes, ranges);
  std::vector<Stmt> parts;
  const int64_t full = node.extent->int_value / lanes;
  int64_t begin = 0;
  if (full > kPiecesWrittenOut) {
    const std::string var = node.name + "@v";
    ScopedRange range(ranges, var, Int(full));
    HONE_ASSIGN_OR_RETURN(Stmt body, OnePiece(loop, Var(var) * lanes, lanes, "", ranges));
    parts.push_back(For(var, Int(full), LoopKind::kSerial, body));
    begin = full * lanes;
  }
  for (const VectorPiece& piece : CutIntoVectors(node.extent->int_value - begin, lanes)) {
    const std::string suffix = parts.empty() ? "" : absl::StrCat("@", parts.size());
    HONE_ASSIGN_OR_RETURN(Stmt part,
                          OnePiece(loop, Int(begin + piece.offset), piece.lanes, suffix, ranges));
    parts.push_back(part);
  }
  return Block(std::move(parts));
}

}  // namespace hone
