#include "compiler/import/onnx_quantized.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/import/onnx_convolution.h"

namespace hone {
namespace {

using Exprs = std::vector<Expr>;

// Smallest and largest value of what is quantised to; an error for other types.
struct Bounds {
  double least = 0;
  double largest = 0;
};
StatusOr<Bounds> BoundsOf(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return Bounds{0, 255};
    case DType::kI8:
      return Bounds{-128, 127};
    case DType::kU16:
      return Bounds{0, 65535};
    case DType::kI16:
      return Bounds{-32768, 32767};
    default:
      return absl::UnimplementedError(
          absl::StrCat("values quantised to ", DTypeName(dtype), " are not supported"));
  }
}

// round(value) + zero point, within the bounds of the type.
Expr Saturated(const Expr& value, const Expr& zero_point, const Bounds& bounds, DType dtype) {
  Expr shifted = Unary(UnaryOp::kRound, value);
  if (zero_point) shifted = shifted + Cast(zero_point, DType::kF32);
  return Cast(Min(Max(shifted, Float(bounds.least)), Float(bounds.largest)), dtype);
}

// A scale or zero point as it broadcasts to values of this rank: one for all, or one along `axis`.
StatusOr<int> Along(OnnxNode& node, int value, int64_t rank, int64_t axis) {
  const int64_t count = ElementCount(node.Shape(value));
  if (count == 1) return node.Reshape(value, {});
  if (node.Rank(value) != 1) return value;  // broadcasts by itself, or not at all
  std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
  HONE_ASSIGN_OR_RETURN(const int at, node.Axis(axis, rank));
  shape[static_cast<size_t>(at)] = count;
  return node.Reshape(value, shape);
}

bool IsZero(const OnnxNode& node, GraphBuilder& graph, int value) {
  const Tensor* constant = graph.ConstantOf(value);
  if (constant == nullptr) return false;
  for (int64_t i = 0; i < constant->ElementCount(); ++i) {
    if (constant->Get(i) != 0) return false;
  }
  return true;
}

// Input `i` less the zero point that is input `zero`, one for all or one along `axis`: itself where
// that is 0, else of 16 bits.
StatusOr<int> Centred(OnnxNode& node, int i, int zero, int64_t axis) {
  HONE_ASSIGN_OR_RETURN(const int value, node.Input(i));
  if (node.TypeOf(value) != DType::kU8 && node.TypeOf(value) != DType::kI8) {
    return absl::UnimplementedError(
        absl::StrCat("sums of products of ", DTypeName(node.TypeOf(value)), " are not supported"));
  }
  if (!node.Has(zero)) return value;
  HONE_ASSIGN_OR_RETURN(const int given, node.Input(zero));
  if (IsZero(node, node.graph(), given)) return value;
  HONE_ASSIGN_OR_RETURN(const int point, Along(node, given, node.Rank(value), axis));
  return node.MixedElementwise({value, point}, [](const Exprs& v) {
    return Cast(v[0], DType::kI16) - Cast(v[1], DType::kI16);
  });
}

// The sums scaled by left * right / result, with the result's zero point, input `zero`.
StatusOr<int> Requantised(OnnxNode& node, int sums, int left, int right, int result, int zero) {
  HONE_ASSIGN_OR_RETURN(const int point, node.Input(zero));
  HONE_ASSIGN_OR_RETURN(const Bounds bounds, BoundsOf(node.TypeOf(point)));
  const DType dtype = node.TypeOf(point);
  HONE_ASSIGN_OR_RETURN(
      const int scale,
      node.Elementwise({left, right, result}, [](const Exprs& v) { return v[0] * v[1] / v[2]; }));
  HONE_ASSIGN_OR_RETURN(const int shift, Along(node, point, node.Rank(sums), 0));
  return node.MixedElementwise({sums, scale, shift}, [&](const Exprs& v) {
    return Saturated(Cast(v[0], DType::kF32) * v[1], v[2], bounds, dtype);
  });
}

Status OnlyWholeBlocks(const OnnxNode& node) {
  if (node.Int("block_size", 0) == 0) return absl::OkStatus();
  return absl::UnimplementedError("scales of blocks (block_size) are not supported");
}

}  // namespace

Status ImportMatMulInteger(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int a, Centred(node, 0, 2, -2));
  HONE_ASSIGN_OR_RETURN(const int b, Centred(node, 1, 3, -1));
  return node.Done(node.graph().Add(node.name(), MatMulOp{}, {a, b}));
}

Status ImportConvInteger(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, Centred(node, 0, 2, 1));
  HONE_ASSIGN_OR_RETURN(const int w, Centred(node, 1, 3, 0));
  HONE_ASSIGN_OR_RETURN(const ConvolutionOp op, ConvolutionOf(node, x, w));
  return node.Done(node.graph().Add(node.name(), op, {x, w}));
}

// Inputs: a, its scale and zero point, b, its scale and zero point, the result's.
Status ImportQLinearMatMul(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int a, Centred(node, 0, 2, -2));
  HONE_ASSIGN_OR_RETURN(const int b, Centred(node, 3, 5, -1));
  HONE_ASSIGN_OR_RETURN(const int sums, node.graph().Add(node.name(), MatMulOp{}, {a, b}));
  const int64_t rank = node.Rank(sums);
  std::vector<int> scales;
  for (const auto& [input, axis] : {std::pair(1, -2), std::pair(4, -1), std::pair(6, -2)}) {
    HONE_ASSIGN_OR_RETURN(const int scale, node.Input(input));
    HONE_ASSIGN_OR_RETURN(scales.emplace_back(), Along(node, scale, rank, axis));
  }
  return node.Done(Requantised(node, sums, scales[0], scales[1], scales[2], 7));
}

// Inputs as of QLinearMatMul, and a bias of 32 bits.
Status ImportQLinearConv(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, Centred(node, 0, 2, 1));
  HONE_ASSIGN_OR_RETURN(const int w, Centred(node, 3, 5, 0));
  HONE_ASSIGN_OR_RETURN(const ConvolutionOp op, ConvolutionOf(node, x, w));
  Expr epilogue;
  std::vector<int> operands;
  if (node.Has(8)) {
    HONE_ASSIGN_OR_RETURN(const int given, node.Input(8));
    HONE_ASSIGN_OR_RETURN(const int bias, PerChannel(node, given, node.Rank(x)));
    epilogue = EpilogueValue(DType::kI32) + EpilogueOperand(0, DType::kI32);
    operands = {bias};
  }
  HONE_ASSIGN_OR_RETURN(const int sums,
                        node.graph().Add(node.name(), op, {x, w}, epilogue, operands));
  const int64_t rank = node.Rank(sums);
  std::vector<int> scales;
  for (int input : {1, 4, 6}) {
    HONE_ASSIGN_OR_RETURN(const int scale, node.Input(input));
    HONE_ASSIGN_OR_RETURN(scales.emplace_back(), Along(node, scale, rank, 1));
  }
  return node.Done(Requantised(node, sums, scales[0], scales[1], scales[2], 7));
}

Status ImportQuantizeLinear(OnnxNode& node) {
  HONE_RETURN_IF_ERROR(OnlyWholeBlocks(node));
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int given, node.Input(1));
  if (node.Int("output_dtype", 0) != 0 && !node.Has(2)) {
    return absl::UnimplementedError("attribute output_dtype without a zero point is not supported");
  }
  if (node.TypeOf(given) != DType::kF32) {
    return absl::UnimplementedError("scales of other types than f32 are not supported");
  }
  const int64_t axis = node.Int("axis", 1);
  HONE_ASSIGN_OR_RETURN(const int scale, Along(node, given, node.Rank(x), axis));
  std::vector<int> values = {x, scale};
  DType dtype = DType::kU8;
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(const int point, node.Input(2));
    dtype = node.TypeOf(point);
    HONE_ASSIGN_OR_RETURN(values.emplace_back(), Along(node, point, node.Rank(x), axis));
  }
  HONE_ASSIGN_OR_RETURN(const Bounds bounds, BoundsOf(dtype));
  return node.Done(node.MixedElementwise(values, [&](const Exprs& v) {
    const Expr zero_point = v.size() > 2 ? v[2] : Expr();
    return Saturated(Cast(v[0], DType::kF32) / v[1], zero_point, bounds, dtype);
  }));
}

Status ImportDequantizeLinear(OnnxNode& node) {
  HONE_RETURN_IF_ERROR(OnlyWholeBlocks(node));
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_RETURN_IF_ERROR(node.WantInteger(x));
  HONE_ASSIGN_OR_RETURN(const int given, node.Input(1));
  if (node.TypeOf(given) != DType::kF32) {
    return absl::UnimplementedError("scales of other types than f32 are not supported");
  }
  const int64_t axis = node.Int("axis", 1);
  HONE_ASSIGN_OR_RETURN(const int scale, Along(node, given, node.Rank(x), axis));
  std::vector<int> values = {x, scale};
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(const int point, node.Input(2));
    HONE_ASSIGN_OR_RETURN(values.emplace_back(), Along(node, point, node.Rank(x), axis));
  }
  return node.Done(node.MixedElementwise(values, [](const Exprs& v) {
    Expr value = Cast(v[0], DType::kI32);
    if (v.size() > 2) value = value - Cast(v[2], DType::kI32);
    return Cast(value, DType::kF32) * v[1];
  }));
}

// Outputs: the bytes, their scale and their zero point, from the range of the input and 0.
Status ImportDynamicQuantizeLinear(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_RETURN_IF_ERROR(node.WantFloat(x));
  const std::vector<bool> all(node.Shape(x).size(), true);
  HONE_ASSIGN_OR_RETURN(const int kept_least, node.Reduce(x, Combiner::kMin, all));
  HONE_ASSIGN_OR_RETURN(const int kept_most, node.Reduce(x, Combiner::kMax, all));
  HONE_ASSIGN_OR_RETURN(const int least, node.Reshape(kept_least, {}));
  HONE_ASSIGN_OR_RETURN(const int most, node.Reshape(kept_most, {}));
  HONE_ASSIGN_OR_RETURN(const int scale, node.Elementwise({least, most}, [](const Exprs& v) {
    return (Max(v[1], Float(0)) - Min(v[0], Float(0))) / Float(255);
  }));
  const Bounds bounds{0, 255};
  HONE_ASSIGN_OR_RETURN(const int point, node.Elementwise({least, scale}, [&](const Exprs& v) {
    return Saturated(Float(0) - Min(v[0], Float(0)) / v[1], {}, bounds, DType::kU8);
  }));
  node.SetOutput(1, scale);
  node.SetOutput(2, point);
  return node.Done(node.MixedElementwise({x, scale, point}, [&](const Exprs& v) {
    return Saturated(v[0] / v[1], v[2], bounds, DType::kU8);
  }));
}

}  // namespace hone
