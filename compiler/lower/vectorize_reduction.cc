#include "compiler/lower/vectorize_reduction.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/ir/workload.h"
#include "compiler/lower/vectorize_loops.h"

namespace hone {
namespace {

// Vectors of partial results: an addition takes about four cycles, and one can begin in each.
constexpr int64_t kAccumulators = 4;

Stmt Leaf(const Stmt& loop) {
  Stmt leaf = loop->body[0];
  while (leaf.kind() == StmtKind::kBlock && leaf->body.size() == 1) leaf = Stmt(leaf->body[0]);
  return leaf;
}

// The step of a reduction: what is accumulated, and how.
struct Accumulation {
  Combiner combiner = Combiner::kSum;
  Expr value;
  Expr factor;  // not empty: value * factor is added with one rounding
};

std::optional<Combiner> CombinerOf(const Expr& e) {
  if (e.kind() != ExprKind::kBinary) return std::nullopt;
  switch (e->binary) {
    case BinaryOp::kAdd:
      return Combiner::kSum;
    case BinaryOp::kMul:
      return Combiner::kProd;
    case BinaryOp::kMax:
      return Combiner::kMax;
    case BinaryOp::kMin:
      return Combiner::kMin;
    default:
      return std::nullopt;
  }
}

std::optional<Accumulation> AccumulationOf(const Stmt& store) {
  auto is_place = [&](const Expr& e) {
    return e.kind() == ExprKind::kLoad && e->name == store->name &&
           Equal(e.arg(0), store->indices[0]);
  };
  const Expr& e = store->value;
  if (e.kind() == ExprKind::kFma && is_place(e.arg(2))) {
    return Accumulation{Combiner::kSum, e.arg(0), e.arg(1)};
  }
  const std::optional<Combiner> combiner = CombinerOf(e);
  if (!combiner) return std::nullopt;
  if (is_place(e.arg(0))) return Accumulation{*combiner, e.arg(1), {}};
  if (is_place(e.arg(1))) return Accumulation{*combiner, e.arg(0), {}};
  return std::nullopt;
}

class LaneReduction {
 public:
  LaneReduction(const Stmt& loop, const Accumulation& step, const Ranges& ranges)
      : loop_(loop), store_(Leaf(loop)), step_(step), ranges_(ranges) {}

  // The extent is a constant: the rest that fills no vector joins where the lanes are as few.
  Stmt OfConstantExtent(int64_t extent, int64_t lanes) {
    while (lanes > 1 && lanes > extent) lanes /= 2;
    const int64_t vectors = extent / lanes;
    const int64_t accumulators = std::clamp<int64_t>(vectors, 1, kAccumulators);
    Begin(accumulators, lanes);
    const int64_t rounds = vectors / accumulators;
    AddRounds(Int(rounds), accumulators, lanes);
    for (int64_t v = rounds * accumulators; v < vectors; ++v) {
      statements_.push_back(Accumulate(v % accumulators, Int(v * lanes), lanes));
    }
    Finish(accumulators, lanes, vectors * lanes, extent);
    return Block(std::move(statements_));
  }

  // The extent is a parameter: what is left of whole vectors is accumulated point by point.
  Stmt OfParametricExtent(const Expr& extent, int64_t lanes) {
    Begin(kAccumulators, lanes);
    const Expr rounds = FloorDiv(extent, kAccumulators * lanes);
    AddRounds(rounds, kAccumulators, lanes);
    const std::string vector = loop_->name + "@w";
    statements_.push_back(
        For(vector, FloorDiv(FloorMod(extent, kAccumulators * lanes), lanes), LoopKind::kSerial,
            Accumulate(0, rounds * (kAccumulators * lanes) + Var(vector) * lanes, lanes)));
    Finish(kAccumulators, lanes, 0, 0);
    const std::string point = loop_->name + "@s";
    statements_.push_back(
        For(point, FloorMod(extent, lanes), LoopKind::kSerial,
            Substitute(store_, {{loop_->name, FloorDiv(extent, lanes) * lanes + Var(point)}})));
    return Block(std::move(statements_));
  }

 private:
  static Expr Lanes(int64_t first, int64_t lanes) {
    return lanes == 1 ? Int(first) : Ramp(Int(first), Int(1), static_cast<int>(lanes));
  }
  DType dtype() const { return store_->value.type().dtype; }
  std::string partial() const { return loop_->name + "@a"; }

  void AllocateRegister(const std::string& name, int64_t elements) {
    Buffer buffer{name, dtype(), {Int(elements)}};
    buffer.scope = Scope::kRegister;
    statements_.push_back(Allocate(buffer));
  }

  void Begin(int64_t accumulators, int64_t lanes) {
    AllocateRegister(partial(), accumulators * lanes);
    const Expr neutral = Broadcast(NeutralValue(step_.combiner, dtype()), static_cast<int>(lanes));
    for (int64_t a = 0; a < accumulators; ++a) {
      statements_.push_back(Store(partial(), {Lanes(a * lanes, lanes)}, neutral));
    }
  }

  // `sum` with what `lanes` iterations from `offset` on give.
  Expr With(const Expr& sum, const Expr& offset, int64_t lanes) const {
    const int width = static_cast<int>(lanes);
    auto wide = [&](const Expr& e) {
      if (width == 1) return Substitute(e, {{loop_->name, offset}});
      return Broadcast(VectorizeExpr(e, loop_->name, offset, width, ranges_), width);
    };
    if (step_.factor) return Fma(wide(step_.value), wide(step_.factor), sum);
    return Combine(step_.combiner, sum, wide(step_.value));
  }

  Stmt Accumulate(int64_t accumulator, const Expr& offset, int64_t lanes) const {
    const Expr place = Lanes(accumulator * lanes, lanes);
    return Store(partial(), {place}, With(Load(partial(), dtype(), {place}), offset, lanes));
  }

  void AddRounds(const Expr& rounds, int64_t accumulators, int64_t lanes) {
    const std::string var = loop_->name + "@v";
    const bool single = rounds.IsInt(1);
    std::vector<Stmt> round;
    for (int64_t a = 0; a < accumulators; ++a) {
      const Expr offset = single ? Int(a * lanes) : Var(var) * (accumulators * lanes) + a * lanes;
      round.push_back(Accumulate(a, offset, lanes));
    }
    Stmt body = Block(std::move(round));
    statements_.push_back(single ? body : For(var, rounds, LoopKind::kSerial, body));
  }

  // All accumulators into one, its lanes into one, with the iterations [done, extent), fewer than
  // the lanes, on the way; then into the element itself.
  void Finish(int64_t accumulators, int64_t lanes, int64_t done, int64_t extent) {
    std::vector<Expr> sums;
    for (int64_t a = 0; a < accumulators; ++a) {
      sums.push_back(Load(partial(), dtype(), {Lanes(a * lanes, lanes)}));
    }
    while (sums.size() > 1) {
      std::vector<Expr> pairs;
      for (size_t i = 0; i + 1 < sums.size(); i += 2) {
        pairs.push_back(Combine(step_.combiner, sums[i], sums[i + 1]));
      }
      if (sums.size() % 2) pairs.push_back(sums.back());
      sums = std::move(pairs);
    }
    Expr sum = sums[0];
    for (int64_t half = lanes / 2; half >= 1; half /= 2) {
      const std::string whole = absl::StrCat(loop_->name, "@h", half);
      AllocateRegister(whole, 2 * half);
      statements_.push_back(Store(whole, {Lanes(0, 2 * half)}, sum));
      sum = Combine(step_.combiner, Load(whole, dtype(), {Lanes(0, half)}),
                    Load(whole, dtype(), {Lanes(half, half)}));
      if (extent - done < half) continue;
      sum = With(sum, Int(done), half);
      done += half;
    }
    const Expr element = Load(store_->name, dtype(), store_->indices);
    statements_.push_back(
        Store(store_->name, store_->indices, Combine(step_.combiner, element, sum)));
  }

  const Stmt& loop_;
  const Stmt store_;
  const Accumulation& step_;
  const Ranges& ranges_;
  std::vector<Stmt> statements_;
};

}  // namespace

bool AccumulatesInOnePlace(const Stmt& loop) {
  const Stmt leaf = Leaf(loop);
  return leaf.kind() == StmtKind::kStore && !UsesVar(leaf->indices[0], loop->name);
}

StatusOr<Stmt> VectorizeReduction(const Stmt& loop, int lanes, const Ranges& ranges) {
  const std::optional<Accumulation> step = AccumulationOf(Leaf(loop));
  if (!step) {
    return absl::InvalidArgumentError(absl::StrCat("the lanes of loop '", loop->name,
                                                   "' all store to one element of '",
                                                   Leaf(loop)->name, "'"));
  }
  LaneReduction reduction(loop, *step, ranges);
  if (loop->extent.IsInt()) return reduction.OfConstantExtent(loop->extent->int_value, lanes);
  return reduction.OfParametricExtent(loop->extent, lanes);
}

}  // namespace hone
