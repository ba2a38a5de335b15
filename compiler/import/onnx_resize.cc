// Shapes are known, so every output position's source is computed here. Where the sources of a
// dimension are floordiv(i, n) they are written as that; otherwise they are a constant table that
// the index map reads. Linear interpolation reads two sources a dimension, and their weights.
#include "compiler/import/onnx_resize.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kLargestExtent = int64_t{1} << 20;  // of an output dimension

struct ResizeMode {
  std::string mode = "nearest";
  std::string coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
};

// The input position, not yet rounded, of output position `i`.
double SourceOf(const ResizeMode& mode, int64_t i, int64_t from, int64_t to, double scale) {
  const double x = static_cast<double>(i);
  if (mode.coordinates == "asymmetric") return x / scale;
  if (mode.coordinates == "align_corners") {
    return to == 1 ? 0 : x * static_cast<double>(from - 1) / static_cast<double>(to - 1);
  }
  if (mode.coordinates == "pytorch_half_pixel" && to == 1) return 0;
  if (mode.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
  if (mode.coordinates == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(to) / (scale * static_cast<double>(from));
    const double centre = static_cast<double>(from) / 2;
    return centre * (1 - adjustment) + (x + 0.5) / scale - 0.5;
  }
  return (x + 0.5) / scale - 0.5;
}

// "simple" is opset 10's rounding, which its text leaves open and ONNX Runtime settled.
int64_t Nearest(const ResizeMode& mode, double source, int64_t from, double scale) {
  double rounded = std::floor(source);
  if (mode.nearest == "ceil" || (mode.nearest == "simple" && scale < 1)) {
    rounded = std::ceil(source);
  } else if (mode.nearest == "round_prefer_floor") {
    rounded = std::ceil(source - 0.5);
  } else if (mode.nearest == "round_prefer_ceil") {
    rounded = std::floor(source + 0.5);
  }
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, from - 1);
}

// Collects the constant tables of one resize as further operands of its index map.
class Tables {
 public:
  Tables(OnnxNode& node, int x) : node_(node), values_({x}) {}

  // The entry of `table` at output position `at`.
  Expr Index(const std::vector<int64_t>& table, const Expr& at) {
    const int64_t count = static_cast<int64_t>(table.size());
    const int64_t last = table.back() + 1;
    if (count % last == 0) {
      bool divides = true;
      for (int64_t i = 0; i < count; ++i) divides = divides && table[i] == i / (count / last);
      if (divides) return FloorDiv(at, count / last);
    }
    return Load(Add(Tensor::Ints({count}, table)), DType::kI64, {at});
  }

  Expr Weight(const std::vector<float>& table, const Expr& at) {
    return Load(Add(Tensor::Floats({static_cast<int64_t>(table.size())}, table)), DType::kF32,
                {at});
  }

  const std::vector<int>& values() const { return values_; }

 private:
  std::string Add(Tensor tensor) {
    values_.push_back(node_.graph().Constant(std::move(tensor), node_.name() + ".table"));
    return absl::StrCat("v", values_.size() - 1);
  }

  OnnxNode& node_;
  std::vector<int> values_;
};

StatusOr<int> ResizeNearest(OnnxNode& node, int x, const std::vector<int64_t>& shape,
                            const std::vector<double>& scales, const ResizeMode& mode) {
  Tables tables(node, x);
  std::vector<Expr> index = IndexVars(node.Rank(x));
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t from = node.Shape(x)[d];
    if (from == shape[d] && scales[d] == 1) continue;
    std::vector<int64_t> sources;
    for (int64_t i = 0; i < shape[d]; ++i) {
      sources.push_back(
          Nearest(mode, SourceOf(mode, i, from, shape[d], scales[d]), from, scales[d]));
    }
    index[d] = tables.Index(sources, index[d]);
  }
  return node.IndexMap(tables.values(), shape, Load("v0", node.TypeOf(x), index));
}

StatusOr<int> ResizeLinear(OnnxNode& node, int x, const std::vector<int64_t>& shape,
                           const std::vector<double>& scales, const ResizeMode& mode) {
  if (node.TypeOf(x) != DType::kF32) {
    return absl::UnimplementedError("linear interpolation of other types than f32");
  }
  Tables tables(node, x);
  // Each term of the sum: an index and a weight (empty: 1).
  struct Term {
    std::vector<Expr> index;
    Expr weight;
  };
  std::vector<Term> terms = {{IndexVars(node.Rank(x)), Expr()}};
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t from = node.Shape(x)[d];
    if (from == shape[d] && scales[d] == 1) continue;
    std::vector<int64_t> low, high;
    std::vector<float> low_weight, high_weight;
    for (int64_t i = 0; i < shape[d]; ++i) {
      const double source = std::clamp(SourceOf(mode, i, from, shape[d], scales[d]), 0.0,
                                       static_cast<double>(from - 1));
      low.push_back(static_cast<int64_t>(std::floor(source)));
      high.push_back(std::min(low.back() + 1, from - 1));
      high_weight.push_back(static_cast<float>(source - std::floor(source)));
      low_weight.push_back(1 - high_weight.back());
    }
    const Expr at = Var(absl::StrCat("d", d));
    const Expr indices[2] = {tables.Index(low, at), tables.Index(high, at)};
    const Expr weights[2] = {tables.Weight(low_weight, at), tables.Weight(high_weight, at)};
    std::vector<Term> doubled;
    for (const Term& term : terms) {
      for (int side = 0; side < 2; ++side) {
        Term next = term;
        next.index[d] = indices[side];
        next.weight = term.weight ? term.weight * weights[side] : weights[side];
        doubled.push_back(std::move(next));
      }
    }
    terms = std::move(doubled);
    if (terms.size() > 8) {
      return absl::UnimplementedError("interpolation along more than three dimensions");
    }
  }
  Expr sum;
  for (const Term& term : terms) {
    Expr value = Load("v0", DType::kF32, term.index);
    if (term.weight) value = value * term.weight;
    sum = sum ? sum + value : value;
  }
  return node.IndexMap(tables.values(), shape, sum);
}

Status ResizeTo(OnnxNode& node, int x, const std::vector<int64_t>& shape,
                const std::vector<double>& scales, const ResizeMode& mode) {
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < 1 || node.Shape(x)[d] < 1) {
      return absl::InvalidArgumentError("its input or output is empty");
    }
    if (shape[d] > kLargestExtent) {
      return absl::InvalidArgumentError("its output is impossibly large");
    }
  }
  if (mode.mode == "nearest") return node.Done(ResizeNearest(node, x, shape, scales, mode));
  if (mode.mode == "linear" || mode.mode == "bilinear") {
    return node.Done(ResizeLinear(node, x, shape, scales, mode));
  }
  return absl::UnimplementedError(absl::StrCat("mode '", mode.mode, "' is not supported"));
}

Status ByScales(OnnxNode& node, int x, const std::vector<double>& scales, const ResizeMode& mode) {
  if (static_cast<int64_t>(scales.size()) != node.Rank(x)) {
    return absl::InvalidArgumentError("its scales are not one a dimension");
  }
  std::vector<int64_t> shape;
  for (size_t d = 0; d < scales.size(); ++d) {
    const double extent = std::floor(static_cast<double>(node.Shape(x)[d]) * scales[d]);
    if (!(extent >= 1 && extent <= kLargestExtent)) {
      return absl::InvalidArgumentError("its scales make its output empty or impossibly large");
    }
    shape.push_back(static_cast<int64_t>(extent));
  }
  return ResizeTo(node, x, shape, scales, mode);
}

}  // namespace

Status ImportUpsample(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  std::vector<double> scales = node.Floats("scales");
  if (node.Has(1)) {
    HONE_ASSIGN_OR_RETURN(const Tensor* given, node.Known(1, "scales"));
    scales = given->ToDoubles();
  }
  return ByScales(node, x, scales, {node.String("mode", "nearest"), "asymmetric", "floor"});
}

Status ImportResize(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  if (node.opset() < 11) {
    HONE_ASSIGN_OR_RETURN(const Tensor* scales, node.Known(1, "scales"));
    return ByScales(node, x, scales->ToDoubles(),
                    {node.String("mode", "nearest"), "asymmetric", "simple"});
  }
  const ResizeMode mode{node.String("mode", "nearest"),
                        node.String("coordinate_transformation_mode", "half_pixel"),
                        node.String("nearest_mode", "round_prefer_floor")};
  if (mode.coordinates == "tf_crop_and_resize" || node.Int("antialias", 0) != 0 ||
      node.HasAttribute("axes") ||
      node.String("keep_aspect_ratio_policy", "stretch") != "stretch") {
    return absl::UnimplementedError(
        "cropping, antialiasing, axes and aspect ratio policies are not supported");
  }
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(const Tensor* scales, node.Known(2, "scales"));
    if (scales->ElementCount() > 0) return ByScales(node, x, scales->ToDoubles(), mode);
  }
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, node.KnownInts(3, "sizes"));
  if (static_cast<int64_t>(sizes.size()) != node.Rank(x)) {
    return absl::InvalidArgumentError("its sizes are not one a dimension");
  }
  std::vector<double> scales;
  for (size_t d = 0; d < sizes.size(); ++d) {
    const int64_t extent = std::max<int64_t>(1, node.Shape(x)[d]);
    scales.push_back(static_cast<double>(sizes[d]) / static_cast<double>(extent));
  }
  return ResizeTo(node, x, sizes, scales, mode);
}

}  // namespace hone
