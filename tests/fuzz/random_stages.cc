#include "tests/fuzz/random_stages.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kExtents[] = {1,  1,  2,  3,  4,  5,  7,  8,  8,  9,  11, 13,
                                15, 16, 17, 19, 23, 24, 31, 32, 33, 37, 48, 64};

std::vector<Expr> Extents(const std::vector<Dim>& dims) {
  std::vector<Expr> extents;
  for (const Dim& dim : dims) extents.push_back(dim.extent);
  return extents;
}

std::vector<Expr> Vars(const std::vector<Dim>& dims) {
  std::vector<Expr> vars;
  for (const Dim& dim : dims) vars.push_back(Var(dim.name));
  return vars;
}

Expr Constant(double value, DType dtype) {
  return IsFloat(dtype) ? Float(value, {dtype, 1}) : Int(static_cast<int64_t>(value), {dtype, 1});
}

Buffer Argument(const std::string& name, DType dtype, BufferRole role, std::vector<Expr> shape) {
  return {name, dtype, std::move(shape), Scope::kArgument, role};
}

class ContractionDrawer {
 public:
  explicit ContractionDrawer(Draw& draw) : draw_(draw) {}

  Workload Make() {
    struct Types {
      DType left, right, sum;
    };
    const Types types = draw_.Pick<Types>({{DType::kF32, DType::kF32, DType::kF32},
                                           {DType::kF32, DType::kF32, DType::kF32},
                                           {DType::kF16, DType::kF16, DType::kF32},
                                           {DType::kF32, DType::kI8, DType::kF32},
                                           {DType::kBF16, DType::kBF16, DType::kF32},
                                           {DType::kI8, DType::kI8, DType::kI32},
                                           {DType::kU8, DType::kI8, DType::kI32},
                                           {DType::kI32, DType::kI32, DType::kI32},
                                           {DType::kI64, DType::kI32, DType::kI64},
                                           {DType::kF64, DType::kF64, DType::kF64}});
    std::vector<Dim> batch = Dims("b", draw_.Pick<int>({0, 0, 1, 2}), 4);
    std::vector<Dim> m = Dims("m", draw_.Pick<int>({0, 1, 1, 2}), 30);
    std::vector<Dim> n = Dims("n", draw_.Pick<int>({0, 1, 1, 1, 2}), 30);
    std::vector<Dim> k = Dims("k", draw_.Pick<int>({1, 1, 2}), 30);
    if (batch.size() + m.size() + n.size() == 0) n = Dims("n", 1, 30);
    // Indices of the left operand: m and k, some pair of them a window.
    std::vector<Expr> left_index = Vars(batch), left_shape = Extents(batch);
    bool padded = false;
    size_t windows = !m.empty() && draw_.Chance(3) ? 1 : 0;
    for (size_t i = 0; i < windows; ++i) {
      k[i].extent = Int(draw_.Pick<int64_t>({1, 2, 3, 5}));
      const int64_t stride = draw_.Pick<int64_t>({1, 1, 2, 3});
      const int64_t dilation = draw_.Pick<int64_t>({1, 1, 2});
      const int64_t pad = draw_.Chance(2) ? draw_.Below(4) : 0;
      const int64_t reach =
          (m[i].extent->int_value - 1) * stride + (k[i].extent->int_value - 1) * dilation - pad + 1;
      const int64_t extent = std::max<int64_t>(1, reach - (pad > 0 ? draw_.Below(3) : 0));
      padded |= pad > 0 || extent < reach;
      left_index.push_back(Var(m[i].name) * stride + Var(k[i].name) * dilation - pad);
      left_shape.push_back(Int(extent));
    }
    Append(std::vector<Dim>(m.begin() + static_cast<int64_t>(windows), m.end()), left_index,
           left_shape);
    Append(std::vector<Dim>(k.begin() + static_cast<int64_t>(windows), k.end()), left_index,
           left_shape);
    std::vector<Expr> right_index, right_shape;
    if (draw_.Chance(2)) Append(batch, right_index, right_shape);
    Append(n, right_index, right_shape);
    Append(k, right_index, right_shape);
    Shuffle(left_index, left_shape);
    Shuffle(right_index, right_shape);

    Workload workload;
    const bool constant = draw_.Chance(2);
    workload.buffers = {
        Argument("x", types.left, BufferRole::kInput, left_shape),
        Argument("w", types.right, constant ? BufferRole::kConstant : BufferRole::kInput,
                 right_shape)};
    const Expr otherwise = padded ? Constant(draw_.Chance(4) ? 2 : 0, types.left) : Expr();
    Expr left = Cast(Load("x", types.left, left_index, otherwise), types.sum);
    const Expr right = Cast(Load("w", types.right, right_index), types.sum);
    if (!IsFloat(types.sum) && draw_.Chance(3)) left = left - Constant(3, types.sum);
    Combiner combiner = Combiner::kSum;
    Expr body = draw_.Chance(4) ? right * left : left * right;
    if (draw_.Chance(8)) {
      combiner = draw_.Chance(2) ? Combiner::kMax : Combiner::kMin;
      body = left + right;
    }
    std::vector<Dim> dims = batch;
    dims.insert(dims.end(), m.begin(), m.end());
    dims.insert(dims.end(), n.begin(), n.end());
    std::shuffle(dims.begin(), dims.end(), draw_.random());
    if (draw_.Chance(3)) {
      workload.buffers.push_back(Argument("y", types.sum, BufferRole::kOutput, Extents(dims)));
      workload.stages.push_back({"y", types.sum, dims, combiner, k, body});
      return workload;
    }
    workload.stages.push_back({"c", types.sum, dims, combiner, k, body});
    Expr value = Load("c", types.sum, Vars(dims));
    if (draw_.Chance(2)) {
      const std::vector<Dim>& bias = n.empty() ? dims : n;
      workload.buffers.push_back(Argument("b", types.sum, BufferRole::kConstant, Extents(bias)));
      value = value + Load("b", types.sum, Vars(bias));
    }
    if (!IsFloat(types.sum) && draw_.Chance(2)) {
      // Requantised. The scale is a power of two, so that there is one way to round.
      Expr real = Unary(UnaryOp::kRound, Cast(value, DType::kF32) * Float(0x1p-6));
      real = Min(Max(real, Float(-128)), Float(127));
      value = Cast(Cast(real, DType::kI32), DType::kI8);
    } else if (draw_.Chance(2)) {
      value = Max(value, Constant(0, types.sum));
    }
    if (types.sum == DType::kF32 && draw_.Chance(4)) value = Cast(value, DType::kF16);
    const DType dtype = value.type().dtype;
    workload.buffers.push_back(Argument("y", dtype, BufferRole::kOutput, Extents(dims)));
    workload.stages.push_back({"y", dtype, dims, Combiner::kNone, {}, value});
    return workload;
  }

 private:
  std::vector<Dim> Dims(const std::string& name, int count, int64_t extent_max) {
    std::vector<Dim> dims;
    for (int i = 0; i < count; ++i) {
      dims.push_back({count == 1 ? name : absl::StrCat(name, i), Int(draw_.Extent(extent_max))});
    }
    return dims;
  }

  static void Append(const std::vector<Dim>& dims, std::vector<Expr>& index,
                     std::vector<Expr>& shape) {
    for (const Dim& dim : dims) {
      index.push_back(Var(dim.name));
      shape.push_back(dim.extent);
    }
  }

  void Shuffle(std::vector<Expr>& index, std::vector<Expr>& shape) {
    for (size_t i = index.size(); i > 1; --i) {
      const size_t other = static_cast<size_t>(draw_.Below(static_cast<int64_t>(i)));
      std::swap(index[i - 1], index[other]);
      std::swap(shape[i - 1], shape[other]);
    }
  }

  Draw& draw_;
};

class StagesDrawer {
 public:
  explicit StagesDrawer(Draw& draw) : draw_(draw) {}

  Workload Make() {
    const int inputs = 1 + draw_.Below(3);
    for (int i = 0; i < inputs; ++i) {
      const BufferRole role = i > 0 && draw_.Chance(3) ? BufferRole::kConstant : BufferRole::kInput;
      const DType dtype = draw_.Chance(3) ? draw_.ElementType() : DType::kF32;
      std::vector<Expr> shape = DrawShape();
      workload_.buffers.push_back(Argument(absl::StrCat("x", i), dtype, role, shape));
      tensors_.push_back({absl::StrCat("x", i), dtype, std::move(shape)});
    }
    const int count = 1 + draw_.Below(4);
    for (int s = 0; s < count; ++s) AddStage(absl::StrCat("s", s), /*output=*/false);
    AddStage("y", /*output=*/true);
    DropUnread();
    return std::move(workload_);
  }

 private:
  struct Known {
    std::string name;
    DType dtype;
    std::vector<Expr> shape;
  };

  std::vector<Expr> DrawShape() {
    std::vector<Expr> shape;
    for (int d = 1 + draw_.Below(3); d > 0; --d) shape.push_back(Int(draw_.Extent(24)));
    return shape;
  }

  void AddStage(const std::string& name, bool output) {
    Stage stage;
    stage.name = name;
    const char* const kNames[] = {"i", "j", "k"};
    // Often the shape of what it will read.
    const Known& like = tensors_[static_cast<size_t>(
        draw_.Chance(3) ? draw_.Below(static_cast<int64_t>(tensors_.size()))
                        : static_cast<int64_t>(tensors_.size()) - 1)];
    const std::vector<Expr> shape = draw_.Chance(4) ? DrawShape() : like.shape;
    for (size_t d = 0; d < shape.size(); ++d) stage.dims.push_back({kNames[d], shape[d]});
    if (draw_.Chance(3)) {
      stage.combiner = draw_.Pick<Combiner>({Combiner::kSum, Combiner::kMax, Combiner::kMin});
      if (stage.dims.size() > 1 && draw_.Chance(2)) {
        stage.reduce = {{"r", stage.dims.back().extent}};
        stage.dims.pop_back();
      } else {
        stage.reduce = {{"r", Int(draw_.Extent(20))}};
      }
    }
    stage.dtype =
        draw_.Chance(4) ? draw_.Pick<DType>({DType::kI32, DType::kF16, DType::kI64}) : DType::kF32;
    if (stage.combiner != Combiner::kNone && stage.dtype == DType::kF16) stage.dtype = DType::kF32;
    if (output && draw_.Chance(8)) stage.dtype = DType::kBool;
    if (stage.dtype == DType::kBool) stage.combiner = Combiner::kNone;
    std::vector<Dim> dims = stage.dims;
    if (stage.combiner == Combiner::kNone) {
      stage.reduce.clear();
    } else {
      dims.insert(dims.end(), stage.reduce.begin(), stage.reduce.end());
    }
    if (stage.dims.empty()) stage.dims = {{"i", Int(1)}};
    stage.body = Body(dims, stage.dtype, stage.combiner == Combiner::kSum);
    if (output) {
      workload_.buffers.push_back(
          Argument(name, stage.dtype, BufferRole::kOutput, Extents(stage.dims)));
    }
    tensors_.push_back({name, stage.dtype, Extents(stage.dims)});
    workload_.stages.push_back(std::move(stage));
  }

  Expr Body(const std::vector<Dim>& dims, DType dtype, bool summed) {
    if (dtype == DType::kBool) {
      return Less(Integer(dims, 1), Integer(dims, 1));
    }
    if (!IsFloat(dtype)) return Cast(Integer(dims, 2), dtype);
    Expr value = Real(dims, 2);
    if (summed) value = value * Float(0.25);
    return Cast(value, dtype);
  }

  // Real values stay small: what grows is squashed.
  Expr Real(const std::vector<Dim>& dims, int depth) {
    if (depth == 0) return ReadAs(dims, DType::kF32);
    auto value = [&] { return Real(dims, depth - 1); };
    switch (draw_.Below(12)) {
      case 0:
        return value() + value();
      case 1:
        return value() - value();
      case 2:
        return Max(value(), value());
      case 3:
        return Min(value(), Float(1.5));
      case 4:
        return Unary(UnaryOp::kTanh, value());
      case 5:
        return Unary(UnaryOp::kExp, Min(value(), Float(1)));
      case 6:
        return value() / (Unary(UnaryOp::kAbs, value()) + Float(1));
      case 7:
        return Select(Condition(dims), value(), value());
      case 8:
        return Unary(UnaryOp::kSigmoid, value()) * Float(2);
      case 9:
        return Fma(Unary(UnaryOp::kTanh, value()), Float(0.5), value());
      case 10:
        return Unary(UnaryOp::kTanh, value()) * value();
      default:
        return Unary(UnaryOp::kAbs, value());
    }
  }

  Expr Integer(const std::vector<Dim>& dims, int depth) {
    if (depth == 0) return ReadAs(dims, DType::kI32);
    auto value = [&] { return Integer(dims, depth - 1); };
    switch (draw_.Below(6)) {
      case 0:
        return value() + value();
      case 1:
        return Max(value(), value());
      case 2:
        return Select(Condition(dims), value(), value());
      case 3:
        return FloorMod(value(), 7);
      case 4:
        return value() * Constant(3, DType::kI32);
      default:
        return value() - value();
    }
  }

  // Of positions: the same for every way to compute it.
  Expr Condition(const std::vector<Dim>& dims) {
    if (dims.empty()) return Int(1, {DType::kBool, 1});
    const Dim& dim = dims[static_cast<size_t>(draw_.Below(static_cast<int64_t>(dims.size())))];
    const Dim& other = dims[static_cast<size_t>(draw_.Below(static_cast<int64_t>(dims.size())))];
    switch (draw_.Below(3)) {
      case 0:
        return LessEqual(Var(other.name), Var(dim.name));
      case 1:
        return Less(FloorMod(Var(dim.name), 3), Int(1));
      default:
        return Less(Var(dim.name), Int(1 + draw_.Below(dim.extent->int_value)));
    }
  }

  // A tensor at some position, as a value of the type. Reals become integers only where they are
  // given, not computed: rounding must not decide.
  Expr ReadAs(const std::vector<Dim>& dims, DType dtype) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      const size_t recent = draw_.Chance(2) ? tensors_.size() - 1 : 0;
      const Known& from =
          tensors_[recent > 0
                       ? recent
                       : static_cast<size_t>(draw_.Below(static_cast<int64_t>(tensors_.size())))];
      const bool given = workload_.FindBuffer(from.name) != nullptr;
      if (!IsFloat(dtype) && IsFloat(from.dtype) && !given) continue;
      Expr read = ReadOf(from, dims);
      // Keeps large integers from drowning small reals.
      if (IsFloat(dtype) && !IsFloat(from.dtype)) {
        return Cast(FloorMod(Cast(read, DType::kI32), 16), dtype) * Float(0.125);
      }
      return Cast(read, dtype);
    }
    return Constant(2, dtype);
  }

  Expr ReadOf(const Known& from, const std::vector<Dim>& dims) {
    std::vector<Expr> index;
    bool guarded = false;
    for (size_t d = 0; d < from.shape.size(); ++d) {
      const int64_t extent = from.shape[d]->int_value;
      // The dimension of the same extent at the same place, mostly.
      const size_t at = draw_.Chance(4) || d >= dims.size()
                            ? static_cast<size_t>(draw_.Below(
                                  static_cast<int64_t>(std::max<size_t>(1, dims.size()))))
                            : d;
      if (at >= dims.size()) {
        index.push_back(Int(draw_.Below(extent)));
        continue;
      }
      const Expr var = Var(dims[at].name);
      const int64_t own = dims[at].extent->int_value;
      const int choice = draw_.Below(8);
      if (own <= extent && choice < 4) {
        index.push_back(var);
      } else if (choice == 4 && own <= extent) {
        index.push_back(var * -1 + (own - 1));
      } else if (choice == 5 && 2 * own <= extent + 1) {
        index.push_back(var * 2);
      } else if (choice == 6) {
        index.push_back(var + (draw_.Below(5) - 2));
        guarded = true;
      } else if (choice == 7) {
        index.push_back(FloorDiv(var, (own + extent - 1) / extent));
      } else {
        index.push_back(FloorMod(var, extent));
      }
    }
    // Loads of stages in select arms may lie outside too.
    return Load(from.name, from.dtype, index, guarded ? Constant(1, from.dtype) : Expr());
  }

  // Inputs and stages that nothing reads go.
  void DropUnread() {
    size_t before = 0;
    do {
      before = workload_.stages.size() + workload_.buffers.size();
      std::set<std::string> read = {"y"};
      for (const Stage& stage : workload_.stages) {
        Visit(stage.body, [&](const Expr& e) {
          if (e.kind() == ExprKind::kLoad) read.insert(e->name);
        });
      }
      std::erase_if(workload_.stages, [&](const Stage& s) { return !read.contains(s.name); });
      std::erase_if(workload_.buffers, [&](const Buffer& b) { return !read.contains(b.name); });
    } while (workload_.stages.size() + workload_.buffers.size() < before);
  }

  Draw& draw_;
  Workload workload_;
  std::vector<Known> tensors_;
};

}  // namespace

int64_t Draw::Extent(int64_t max) {
  const auto end = std::upper_bound(std::begin(kExtents), std::end(kExtents), max);
  if (max > 64 && Chance(2)) return 1 + Below(max);
  return kExtents[Below(end - std::begin(kExtents))];
}

DType Draw::ElementType() {
  return Pick<DType>({DType::kF32, DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kU8,
                      DType::kI16, DType::kI32, DType::kI64, DType::kBool});
}

Workload RandomContraction(Draw& draw) { return ContractionDrawer(draw).Make(); }

Workload RandomStages(Draw& draw) { return StagesDrawer(draw).Make(); }

}  // namespace hone
