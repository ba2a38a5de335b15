#include "compiler/import/onnx_convolution.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/graph/shape_inference.h"

namespace hone {

StatusOr<int> PerChannel(OnnxNode& node, int value, int64_t rank) {
  std::vector<int64_t> shape(rank - 1, 1);
  shape[0] = ElementCount(node.Shape(value));
  return node.Reshape(value, shape);
}

namespace {

// The window attributes for an input of shape `x`; auto_pad is resolved.
StatusOr<Window> WindowOf(const OnnxNode& node, const std::vector<int64_t>& x,
                          std::vector<int64_t> kernel) {
  if (x.size() < 3) return absl::InvalidArgumentError("its input has no spatial dimensions");
  const size_t rank = x.size() - 2;
  Window window{.kernel = std::move(kernel),
                .strides = node.Ints("strides", std::vector<int64_t>(rank, 1)),
                .dilations = node.Ints("dilations", std::vector<int64_t>(rank, 1))};
  const std::vector<int64_t> pads = node.Ints("pads", std::vector<int64_t>(2 * rank, 0));
  if (pads.size() != 2 * rank || window.strides.size() != rank || window.dilations.size() != rank ||
      window.kernel.size() != rank) {
    return absl::InvalidArgumentError("its window attributes do not fit its input's rank");
  }
  window.pads_begin.assign(pads.begin(), pads.begin() + rank);
  window.pads_end.assign(pads.begin() + rank, pads.end());
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if (auto_pad == "NOTSET") return window;
  for (size_t d = 0; d < rank; ++d) {
    if (window.strides[d] < 1) return absl::InvalidArgumentError("a stride is below 1");
    const int64_t covered = (window.kernel[d] - 1) * window.dilations[d] + 1;
    const int64_t outputs = (x[d + 2] + window.strides[d] - 1) / window.strides[d];
    const int64_t pad =
        auto_pad == "VALID"
            ? 0
            : std::max<int64_t>(0, (outputs - 1) * window.strides[d] + covered - x[d + 2]);
    window.pads_begin[d] = auto_pad == "SAME_LOWER" ? (pad + 1) / 2 : pad / 2;
    window.pads_end[d] = pad - window.pads_begin[d];
  }
  return window;
}

// Adds the operator with its bias, input 2, if there is one.
Status AddWithBias(OnnxNode& node, Operator op, int x, int w) {
  Expr epilogue;
  std::vector<int> operands;
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(const int b, node.Input(2));
    HONE_ASSIGN_OR_RETURN(const int bias, PerChannel(node, b, node.Rank(x)));
    epilogue = EpilogueValue(DType::kF32) + EpilogueOperand(0, DType::kF32);
    operands = {bias};
  }
  return node.Done(node.graph().Add(node.name(), std::move(op), {x, w}, epilogue, operands));
}

Status NeedsWeights(const OnnxNode& node, int x, int w) {
  if (node.Rank(x) >= 3 && node.Rank(w) == node.Rank(x)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("weights ", ShapeText(node.Shape(w)),
                                                 " do not fit input ", ShapeText(node.Shape(x))));
}

Status ImportPool(OnnxNode& node, Pooling::Kind kind) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  if (node.WantsOutput(1)) {
    return absl::UnimplementedError("its second output (Indices) is not supported");
  }
  PoolingOp op{.kind = kind,
               .count_padding = node.Int("count_include_pad", 0) != 0,
               .ceil_mode = node.Int("ceil_mode", 0) != 0};
  HONE_ASSIGN_OR_RETURN(op.window, WindowOf(node, node.Shape(x), node.Ints("kernel_shape")));
  return node.Done(node.graph().Add(node.name(), op, {x}));
}

std::vector<bool> SpatialDims(const OnnxNode& node, int x) {
  std::vector<bool> reduced(node.Rank(x), true);
  for (size_t d = 0; d < reduced.size() && d < 2; ++d) reduced[d] = false;
  return reduced;
}

}  // namespace

Status ImportAveragePool(OnnxNode& node) { return ImportPool(node, Pooling::Kind::kAverage); }
Status ImportMaxPool(OnnxNode& node) { return ImportPool(node, Pooling::Kind::kMax); }

Status ImportBatchNormalization(OnnxNode& node) {
  if (node.Int("training_mode", 0) != 0 || (node.opset() < 7 && node.Int("is_test", 0) == 0) ||
      node.WantsOutput(1)) {
    return absl::UnimplementedError("batch normalisation in training mode is not supported");
  }
  HONE_ASSIGN_OR_RETURN(const std::vector<int> inputs, node.AllInputs());
  if (inputs.size() != 5) return absl::InvalidArgumentError("it needs five inputs");
  if (node.Rank(inputs[0]) < 2) return absl::InvalidArgumentError("its input has no channels");
  const double epsilon = node.Float("epsilon", 1e-5);
  bool known = true;
  for (int i = 1; i < 5; ++i) {
    known = known && node.graph().ConstantOf(inputs[i]) != nullptr &&
            node.TypeOf(inputs[i]) == DType::kF32;
  }
  if (known && node.graph().ConstantOf(inputs[0]) == nullptr) {
    return node.Done(node.graph().Add(node.name(), BatchNormOp{epsilon}, inputs));
  }
  std::vector<int> operands = {inputs[0]};
  for (int i = 1; i < 5; ++i) {
    HONE_ASSIGN_OR_RETURN(const int value, PerChannel(node, inputs[i], node.Rank(inputs[0])));
    operands.push_back(value);
  }
  return node.Done(node.Elementwise(operands, [&](const std::vector<Expr>& v) {
    const Expr deviation = Unary(UnaryOp::kSqrt, v[4] + Number(epsilon, v[4].type().dtype));
    return (v[0] - v[3]) / deviation * v[1] + v[2];
  }));
}

StatusOr<ConvolutionOp> ConvolutionOf(const OnnxNode& node, int x, int w) {
  HONE_RETURN_IF_ERROR(NeedsWeights(node, x, w));
  const std::vector<int64_t>& weights = node.Shape(w);
  ConvolutionOp op{.groups = node.Int("group", 1)};
  HONE_ASSIGN_OR_RETURN(op.window,
                        WindowOf(node, node.Shape(x),
                                 node.Ints("kernel_shape", {weights.begin() + 2, weights.end()})));
  return op;
}

Status ImportConv(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int w, node.Input(1));
  HONE_RETURN_IF_ERROR(node.WantFloat(x));
  HONE_ASSIGN_OR_RETURN(const ConvolutionOp op, ConvolutionOf(node, x, w));
  return AddWithBias(node, op, x, w);
}

Status ImportConvTranspose(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int w, node.Input(1));
  HONE_RETURN_IF_ERROR(NeedsWeights(node, x, w));
  const std::vector<int64_t>& weights = node.Shape(w);
  const std::vector<int64_t> images = node.Shape(x);
  const size_t rank = images.size() - 2;
  ConvolutionTransposeOp op{.groups = node.Int("group", 1)};
  Window& window = op.window;
  window.kernel = node.Ints("kernel_shape", {weights.begin() + 2, weights.end()});
  window.strides = node.Ints("strides", std::vector<int64_t>(rank, 1));
  window.dilations = node.Ints("dilations", std::vector<int64_t>(rank, 1));
  const std::vector<int64_t> pads = node.Ints("pads", std::vector<int64_t>(2 * rank, 0));
  const std::vector<int64_t> extra = node.Ints("output_padding", std::vector<int64_t>(rank, 0));
  std::vector<int64_t> wanted = node.Ints("output_shape");
  if (wanted.size() > rank) wanted.erase(wanted.begin(), wanted.end() - rank);
  if (pads.size() != 2 * rank || extra.size() != rank || window.kernel.size() != rank ||
      window.strides.size() != rank || window.dilations.size() != rank ||
      (!wanted.empty() && wanted.size() != rank)) {
    return absl::InvalidArgumentError("its window attributes do not fit its input's rank");
  }
  window.pads_begin.assign(pads.begin(), pads.begin() + rank);
  window.pads_end.assign(pads.begin() + rank, pads.end());
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  for (size_t d = 0; d < rank; ++d) {
    const int64_t full = window.strides[d] * (images[d + 2] - 1) + extra[d] +
                         (window.kernel[d] - 1) * window.dilations[d] + 1;
    if (same && wanted.empty()) {
      op.output_spatial.push_back(images[d + 2] * window.strides[d]);
    } else if (!wanted.empty()) {
      op.output_spatial.push_back(wanted[d]);
    } else {
      op.output_spatial.push_back(full - window.pads_begin[d] - window.pads_end[d]);
    }
    if (same || !wanted.empty()) {
      const int64_t total = std::max<int64_t>(0, full - op.output_spatial[d]);
      window.pads_begin[d] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
  }
  return AddWithBias(node, op, x, w);
}

Status ImportGlobalAveragePool(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  return node.Done(node.Mean(x, SpatialDims(node, x)));
}

Status ImportGlobalMaxPool(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  return node.Done(node.Reduce(x, Combiner::kMax, SpatialDims(node, x)));
}

// y = x / (bias + alpha / size * (sum of x^2 over `size` channels around))^beta
Status ImportLrn(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const int64_t size = node.Int("size", 1);
  if (node.Rank(x) < 2 || size < 1 || size > 64) {
    return absl::UnimplementedError("only sizes of 1 to 64 channels are supported");
  }
  const std::vector<Expr> at = IndexVars(node.Rank(x));
  const DType dtype = node.TypeOf(x);
  Expr sum;
  for (int64_t c = 0; c < size; ++c) {
    std::vector<Expr> index = at;
    index[1] = at[1] + (c - (size - 1) / 2);
    const Expr value = Load("v0", dtype, index, Number(0, dtype));
    sum = sum ? sum + value * value : value * value;
  }
  const Expr base = sum * Number(node.Float("alpha", 1e-4) / static_cast<double>(size), dtype) +
                    Number(node.Float("bias", 1), dtype);
  const Expr power = Binary(BinaryOp::kPow, base, Number(-node.Float("beta", 0.75), dtype));
  const std::vector<int64_t> shape = node.Shape(x);
  return node.Done(node.IndexMap({x}, shape, Load("v0", dtype, at) * power));
}

}  // namespace hone
