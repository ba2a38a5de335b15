#include "compiler/graph/shape_inference.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "compiler/operators/matmul.h"

namespace hone {
namespace {

// Of a kernel, stride, dilation or pad: keeps index arithmetic far from overflow.
constexpr int64_t kLargestWindow = int64_t{1} << 20;

template <typename... Parts>
Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

Status WantInputs(const std::vector<TensorType>& inputs, size_t count) {
  if (inputs.size() == count) return absl::OkStatus();
  return Bad("it has ", inputs.size(), " inputs where ", count, " are needed");
}

Status WantF32(const TensorType& type, absl::string_view what) {
  if (type.dtype == DType::kF32) return absl::OkStatus();
  return Bad(what, " is ", ToString(type), "; only f32 is supported here");
}

// What can be multiplied and summed exactly in 32 bits, or is f32.
Status WantFactors(const TensorType& left, const TensorType& right) {
  const auto is_narrow = [](const TensorType& type) {
    return type.dtype == DType::kI8 || type.dtype == DType::kU8 || type.dtype == DType::kI16;
  };
  if (left.dtype == DType::kF32 && right.dtype == DType::kF32) return absl::OkStatus();
  if (is_narrow(left) && is_narrow(right)) return absl::OkStatus();
  return Bad("its operands are ", ToString(left), " and ", ToString(right),
             "; only f32 is supported here, and integers of 8 bits and i16");
}

Status CheckWindow(const Window& window, size_t rank) {
  const size_t sizes[] = {window.kernel.size(), window.strides.size(), window.dilations.size(),
                          window.pads_begin.size(), window.pads_end.size()};
  for (size_t size : sizes) {
    if (size != rank) return Bad("its window attributes are not for ", rank, " dimensions");
  }
  for (size_t d = 0; d < rank; ++d) {
    if (window.kernel[d] < 1 || window.strides[d] < 1 || window.dilations[d] < 1) {
      return Bad("its kernel, strides and dilations must be at least 1");
    }
    for (int64_t value : {window.kernel[d], window.strides[d], window.dilations[d],
                          std::abs(window.pads_begin[d]), std::abs(window.pads_end[d])}) {
      if (value > kLargestWindow) return Bad("a window attribute of ", value, " is too large");
    }
  }
  return absl::OkStatus();
}

Status CheckImages(const TensorType& x) {
  if (x.shape.size() < 3 || x.shape.size() > 5) {
    return Bad("its input is ", ToString(x), "; one to three spatial dimensions are supported");
  }
  return absl::OkStatus();
}

struct Inference {
  const std::vector<TensorType>& inputs;

  StatusOr<TensorType> operator()(const ConvolutionOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 2));
    const TensorType& x = inputs[0];
    const TensorType& w = inputs[1];
    HONE_RETURN_IF_ERROR(CheckImages(x));
    HONE_RETURN_IF_ERROR(WantFactors(x, w));
    if (w.shape.size() != x.shape.size()) {
      return Bad("its weights are ", ToString(w), " for an input ", ToString(x));
    }
    HONE_RETURN_IF_ERROR(CheckWindow(op.window, x.shape.size() - 2));
    if (op.groups < 1 || x.shape[1] != w.shape[1] * op.groups || w.shape[0] % op.groups != 0) {
      return Bad("weights ", ToString(w), " with ", op.groups, " groups do not fit ", x.shape[1],
                 " input channels");
    }
    TensorType y{SumType(x.dtype, w.dtype), {x.shape[0], w.shape[0]}};
    for (size_t d = 0; d + 2 < x.shape.size(); ++d) {
      if (op.window.kernel[d] != w.shape[d + 2]) {
        return Bad("kernel_shape does not fit weights ", ToString(w));
      }
      y.shape.push_back(WindowPositions(op.window, d, x.shape[d + 2], false));
      if (y.shape.back() < 1)
        return Bad("its window is larger than its padded input ", ToString(x));
    }
    return y;
  }

  StatusOr<TensorType> operator()(const ConvolutionTransposeOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 2));
    const TensorType& x = inputs[0];
    const TensorType& w = inputs[1];
    HONE_RETURN_IF_ERROR(CheckImages(x));
    HONE_RETURN_IF_ERROR(WantF32(x, "its input"));
    HONE_RETURN_IF_ERROR(WantF32(w, "its weights"));
    if (w.shape.size() != x.shape.size() || w.shape[0] != x.shape[1] || op.groups < 1 ||
        x.shape[1] % op.groups != 0) {
      return Bad("weights ", ToString(w), " with ", op.groups, " groups do not fit input ",
                 ToString(x));
    }
    HONE_RETURN_IF_ERROR(CheckWindow(op.window, x.shape.size() - 2));
    TensorType y{DType::kF32, {x.shape[0], w.shape[1] * op.groups}};
    for (int64_t extent : op.output_spatial) {
      if (extent < 1) return Bad("its output would be empty");
      y.shape.push_back(extent);
    }
    if (y.shape.size() != x.shape.size()) return Bad("its output has another rank than its input");
    return y;
  }

  StatusOr<TensorType> operator()(const MatMulOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 2));
    HONE_RETURN_IF_ERROR(WantFactors(inputs[0], inputs[1]));
    const std::vector<int64_t>& x = inputs[0].shape;
    const std::vector<int64_t>& w = inputs[1].shape;
    auto bad = [&] {
      return Bad("operands ", ToString(inputs[0]), " and ", ToString(inputs[1]),
                 " do not multiply");
    };
    if (x.size() < 2 || w.size() < 2) return bad();
    const int64_t x_depth = op.transpose_x ? x[x.size() - 2] : x.back();
    const int64_t w_depth = op.transpose_w ? w.back() : w[w.size() - 2];
    auto batch = BroadcastShapes({{x.begin(), x.end() - 2}, {w.begin(), w.end() - 2}});
    if (x_depth != w_depth || !batch.ok()) return bad();
    return TensorType{
        SumType(inputs[0].dtype, inputs[1].dtype),
        MatMulShape(
            {.x = x, .w = w, .transpose_x = op.transpose_x, .transpose_w = op.transpose_w})};
  }

  StatusOr<TensorType> operator()(const PoolingOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 1));
    const TensorType& x = inputs[0];
    HONE_RETURN_IF_ERROR(CheckImages(x));
    HONE_RETURN_IF_ERROR(WantF32(x, "its input"));
    HONE_RETURN_IF_ERROR(CheckWindow(op.window, x.shape.size() - 2));
    TensorType y{DType::kF32, {x.shape[0], x.shape[1]}};
    for (size_t d = 0; d + 2 < x.shape.size(); ++d) {
      y.shape.push_back(WindowPositions(op.window, d, x.shape[d + 2], op.ceil_mode));
      if (y.shape.back() < 1)
        return Bad("its window is larger than its padded input ", ToString(x));
    }
    return y;
  }

  StatusOr<TensorType> operator()(const ReductionOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 1));
    TensorType y = inputs[0];
    if (op.reduced.size() != y.shape.size()) return Bad("its axes do not fit ", ToString(y));
    for (size_t d = 0; d < y.shape.size(); ++d) {
      if (op.reduced[d]) y.shape[d] = 1;
    }
    return y;
  }

  StatusOr<TensorType> operator()(const SoftmaxOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 1));
    HONE_RETURN_IF_ERROR(WantF32(inputs[0], "its input"));
    if (op.first < 0 || op.first + op.count > static_cast<int>(inputs[0].shape.size())) {
      return Bad("its axis is outside ", ToString(inputs[0]));
    }
    return inputs[0];
  }

  StatusOr<TensorType> operator()(const AttentionOp&) {
    TensorType y = inputs[0];
    y.shape.back() = inputs[2].shape.back();
    return y;
  }

  StatusOr<TensorType> operator()(const RowChainOp& op) {
    TensorType y{DType::kF32, op.shape};
    if (op.stages.back().per_row) std::fill(y.shape.begin() + op.first, y.shape.end(), 1);
    return y;
  }

  StatusOr<TensorType> operator()(const BatchNormOp&) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 5));
    if (inputs[0].shape.size() < 2) return Bad("its input is ", ToString(inputs[0]));
    for (size_t i = 1; i < 5; ++i) {
      if (inputs[i] != TensorType{DType::kF32, {inputs[0].shape[1]}}) {
        return Bad("a statistic is ", ToString(inputs[i]), " for an input ", ToString(inputs[0]));
      }
    }
    return inputs[0];
  }

  StatusOr<TensorType> operator()(const ElementwiseOp&) {
    return Bad("an elementwise node has no operator of its own");
  }

  StatusOr<TensorType> operator()(const IndexMapOp& op) {
    return TensorType{op.body.type().dtype, op.shape};
  }

  StatusOr<TensorType> operator()(const ReshapeOp& op) {
    HONE_RETURN_IF_ERROR(WantInputs(inputs, 1));
    if (ElementCount(op.shape) != ElementCount(inputs[0].shape)) {
      return Bad("its input ", ToString(inputs[0]), " has not as many elements as ",
                 ShapeText(op.shape));
    }
    return TensorType{inputs[0].dtype, op.shape};
  }

  StatusOr<TensorType> operator()(const ConcatOp& op) {
    if (inputs.empty()) return Bad("it has no inputs");
    TensorType y = inputs[0];
    if (op.axis < 0 || op.axis >= static_cast<int>(y.shape.size())) {
      return Bad("its axis is outside ", ToString(y));
    }
    y.shape[op.axis] = 0;
    for (const TensorType& x : inputs) {
      TensorType same = x;
      if (same.shape.size() != y.shape.size()) {
        return Bad("it joins ", ToString(inputs[0]), " and ", ToString(x));
      }
      same.shape[op.axis] = y.shape[op.axis];
      if (same != y) return Bad("it joins ", ToString(inputs[0]), " and ", ToString(x));
      y.shape[op.axis] += x.shape[op.axis];
    }
    return y;
  }
};

}  // namespace

int64_t WindowPositions(const Window& window, size_t d, int64_t extent, bool ceil_mode) {
  const int64_t covered = (window.kernel[d] - 1) * window.dilations[d] + 1;
  const int64_t room = extent + window.pads_begin[d] + window.pads_end[d] - covered;
  if (room < 0) return 0;
  int64_t positions = room / window.strides[d] + 1;
  if (ceil_mode && room % window.strides[d] != 0) {
    // A window that would begin in the end padding does not count.
    const int64_t begin = positions * window.strides[d];
    if (begin < extent + window.pads_begin[d]) ++positions;
  }
  return positions;
}

StatusOr<std::vector<int64_t>> BroadcastShapes(const std::vector<std::vector<int64_t>>& shapes) {
  size_t rank = 0;
  for (const auto& shape : shapes) rank = std::max(rank, shape.size());
  std::vector<int64_t> result(rank, 1);
  for (const auto& shape : shapes) {
    for (size_t d = 0; d < shape.size(); ++d) {
      int64_t& extent = result[rank - shape.size() + d];
      if (shape[d] == extent || shape[d] == 1) continue;
      if (extent != 1) {
        std::string all;
        for (const auto& s : shapes)
          absl::StrAppend(&all, all.empty() ? "" : " and ", ShapeText(s));
        return Bad("shapes ", all, " do not broadcast");
      }
      extent = shape[d];
    }
  }
  return result;
}

StatusOr<TensorType> InferOperator(const Operator& op, const std::vector<TensorType>& inputs) {
  return std::visit(Inference{inputs}, op);
}

StatusOr<TensorType> InferNode(const Node& node, const std::vector<TensorType>& inputs) {
  std::vector<std::vector<int64_t>> shapes;
  for (size_t i = node.own_inputs; i < inputs.size(); ++i) shapes.push_back(inputs[i].shape);
  if (std::holds_alternative<ElementwiseOp>(node.op)) {
    HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, BroadcastShapes(shapes));
    return TensorType{node.epilogue.type().dtype, shape};
  }
  HONE_ASSIGN_OR_RETURN(TensorType type,
                        InferOperator(node.op, {inputs.begin(), inputs.begin() + node.own_inputs}));
  if (!node.epilogue) return type;
  shapes.push_back(type.shape);
  HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, BroadcastShapes(shapes));
  if (shape != type.shape) {
    return Bad("an operand does not broadcast to its output ", ToString(type));
  }
  type.dtype = node.epilogue.type().dtype;
  return type;
}

}  // namespace hone
