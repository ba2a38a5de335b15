#include "compiler/import/onnx_shape.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/import/onnx_reader.h"
#include "compiler/import/tensor_proto.h"

namespace hone {
namespace {

Tensor Widened(const Tensor& tensor) {
  const bool half = tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16;
  return half ? tensor.As(DType::kF32) : tensor;
}

Status SetConstant(OnnxNode& node, const Tensor& tensor) {
  node.SetOutput(0, node.graph().Constant(Widened(tensor), node.name()));
  return absl::OkStatus();
}

// Axes from attribute (older opsets) or input 1; empty if neither is there.
StatusOr<std::vector<int64_t>> ListedAxes(OnnxNode& node) {
  if (node.Has(1)) return node.KnownInts(1, "axes");
  return node.Ints("axes");
}

Status CheckShape(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) {
    if (extent < 0 || (extent > 0 && count > (int64_t{1} << 28) / extent)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", ShapeText(shape), " is negative or too large"));
    }
    count *= extent;
  }
  return absl::OkStatus();
}

}  // namespace

Status ImportConstant(OnnxNode& node) {
  if (const auto* value = node.Find("value")) {
    HONE_ASSIGN_OR_RETURN(Tensor tensor, TensorFromProto(value->t()));
    return SetConstant(node, tensor);
  }
  if (node.HasAttribute("value_float")) {
    return SetConstant(node,
                       Tensor::Floats({}, {static_cast<float>(node.Float("value_float", 0))}));
  }
  if (node.HasAttribute("value_int")) {
    return SetConstant(node, Tensor::Ints({}, {node.Int("value_int", 0)}));
  }
  if (node.HasAttribute("value_floats")) {
    const std::vector<double> values = node.Floats("value_floats");
    return SetConstant(
        node, Tensor::FromDoubles(DType::kF32, {static_cast<int64_t>(values.size())}, values));
  }
  if (node.HasAttribute("value_ints")) {
    const std::vector<int64_t> values = node.Ints("value_ints");
    return SetConstant(node, Tensor::Ints({static_cast<int64_t>(values.size())}, values));
  }
  return absl::UnimplementedError("a constant of sparse values or strings is not supported");
}

Status ImportConstantOfShape(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, node.KnownInts(0, "shape"));
  HONE_RETURN_IF_ERROR(CheckShape(shape));
  Tensor value = Tensor::Zeros(DType::kF32, {1});
  if (const auto* attribute = node.Find("value")) {
    HONE_ASSIGN_OR_RETURN(value, TensorFromProto(attribute->t()));
  }
  if (value.ElementCount() != 1) return absl::InvalidArgumentError("its value is not one number");
  Tensor tensor{.dtype = value.dtype, .shape = shape};
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.bytes += value.bytes;
  return SetConstant(node, tensor);
}

Status ImportDropout(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(const Tensor* training, node.Known(2, "training_mode"));
    const bool drops = !node.Has(1) || node.graph().ConstantOf(*node.Input(1)) == nullptr ||
                       node.graph().ConstantOf(*node.Input(1))->Get(0) != 0;
    if (training->GetInt(0) != 0 && drops) {
      return absl::UnimplementedError("dropout in training mode is not supported");
    }
  }
  if (node.WantsOutput(1)) {
    Tensor mask = Tensor::Zeros(DType::kBool, node.Shape(x));
    std::fill(mask.bytes.begin(), mask.bytes.end(), 1);
    node.SetOutput(1, node.graph().Constant(std::move(mask), node.name() + ".mask"));
  }
  return node.Done(x);
}

Status ImportEyeLike(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  DType dtype = node.TypeOf(x);
  if (node.HasAttribute("dtype")) {
    HONE_ASSIGN_OR_RETURN(dtype, DTypeFromOnnx(static_cast<int32_t>(node.Int("dtype", 0))));
  }
  const std::vector<int64_t> shape = node.Shape(x);
  if (shape.size() != 2) return absl::InvalidArgumentError("its input is not a matrix");
  Tensor eye = Tensor::Zeros(dtype, shape);
  for (int64_t row = 0; row < shape[0]; ++row) {
    const int64_t column = row + node.Int("k", 0);
    if (column >= 0 && column < shape[1]) eye.Set(row * shape[1] + column, 1);
  }
  return SetConstant(node, eye);
}

Status ImportFlatten(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const std::vector<int64_t>& shape = node.Shape(x);
  int64_t axis = node.Int("axis", 1);
  const int64_t rank = node.Rank(x);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) return absl::InvalidArgumentError("its axis is outside its input");
  const int64_t rows = ElementCount({shape.begin(), shape.begin() + axis});
  const int64_t columns = ElementCount({shape.begin() + axis, shape.end()});
  return node.Done(node.Reshape(x, {rows, columns}));
}

Status ImportRange(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const Tensor* start, node.Known(0, "start"));
  HONE_ASSIGN_OR_RETURN(const Tensor* limit, node.Known(1, "limit"));
  HONE_ASSIGN_OR_RETURN(const Tensor* delta, node.Known(2, "delta"));
  for (const Tensor* number : {start, limit, delta}) {
    if (number->ElementCount() != 1)
      return absl::InvalidArgumentError("its inputs are not numbers");
  }
  if (delta->Get(0) == 0) return absl::InvalidArgumentError("its delta is 0");
  const double steps = std::ceil((limit->Get(0) - start->Get(0)) / delta->Get(0));
  const int64_t count = std::max<int64_t>(0, static_cast<int64_t>(steps));
  HONE_RETURN_IF_ERROR(CheckShape({count}));
  Tensor range = Tensor::Zeros(start->dtype, {count});
  for (int64_t i = 0; i < count; ++i) {
    range.Set(i, start->Get(0) + static_cast<double>(i) * delta->Get(0));
  }
  return SetConstant(node, range);
}

Status ImportReshape(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  std::vector<int64_t> shape = node.Ints("shape");  // before opset 5
  if (node.Has(1)) {
    HONE_ASSIGN_OR_RETURN(shape, node.KnownInts(1, "shape"));
  }
  const bool zero_is_zero = node.Int("allowzero", 0) != 0;
  const int64_t count = ElementCount(node.Shape(x));
  int64_t known = 1;
  int64_t* open = nullptr;
  bool fits = true;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !zero_is_zero) {
      if (static_cast<int64_t>(d) >= node.Rank(x)) {
        return absl::InvalidArgumentError("its shape copies a dimension that the input lacks");
      }
      shape[d] = node.Shape(x)[d];
    }
    if (shape[d] == -1 && open == nullptr) {
      open = &shape[d];
    } else {
      fits &= shape[d] >= 0 && !__builtin_mul_overflow(known, shape[d], &known);
    }
  }
  if (fits && open != nullptr) {
    *open = known == 0 ? 0 : count / known;
    known *= *open;
  }
  if (!fits || known != count) {
    return absl::InvalidArgumentError(absl::StrCat("input ", ShapeText(node.Shape(x)),
                                                   " cannot be reshaped to ", ShapeText(shape)));
  }
  return node.Done(node.Reshape(x, shape));
}

Status ImportShape(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const int64_t rank = node.Rank(x);
  auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t begin = clamped(node.Int("start", 0));
  const int64_t end = std::max(begin, clamped(node.Int("end", rank)));
  const std::vector<int64_t> part(node.Shape(x).begin() + begin, node.Shape(x).begin() + end);
  return SetConstant(node, Tensor::Ints({end - begin}, part));
}

Status ImportSize(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  return SetConstant(node, Tensor::Ints({}, {ElementCount(node.Shape(x))}));
}

Status ImportSqueeze(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> listed, ListedAxes(node));
  const std::vector<int64_t> from = node.Shape(x);
  std::set<int> axes;
  for (int64_t axis : listed) {
    HONE_ASSIGN_OR_RETURN(const int d, node.Axis(axis, node.Rank(x)));
    if (from[d] != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("dimension ", d, " of ", ShapeText(from), " is not 1"));
    }
    axes.insert(d);
  }
  std::vector<int64_t> shape;
  for (size_t d = 0; d < from.size(); ++d) {
    const bool goes = listed.empty() ? from[d] == 1 : axes.contains(static_cast<int>(d));
    if (!goes) shape.push_back(from[d]);
  }
  return node.Done(node.Reshape(x, shape));
}

Status ImportUnsqueeze(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> listed, ListedAxes(node));
  const int64_t rank = node.Rank(x) + static_cast<int64_t>(listed.size());
  std::set<int> axes;
  for (int64_t axis : listed) {
    HONE_ASSIGN_OR_RETURN(const int d, node.Axis(axis, rank));
    axes.insert(d);
  }
  if (axes.size() != listed.size()) return absl::InvalidArgumentError("an axis is listed twice");
  std::vector<int64_t> shape;
  size_t next = 0;
  for (int64_t d = 0; d < rank; ++d) {
    shape.push_back(axes.contains(static_cast<int>(d)) ? 1 : node.Shape(x)[next++]);
  }
  return node.Done(node.Reshape(x, shape));
}

}  // namespace hone
