#include "compiler/import/onnx_reduction.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

Expr Square(const std::vector<Expr>& v) { return v[0] * v[0]; }

// What a reduction reduces. Axes are an attribute in older opsets and an input in newer ones.
struct Axes {
  int x = -1;
  std::vector<bool> reduced;
  bool nothing = false;        // no axes, and that means none
  std::vector<int64_t> shape;  // of the result, with or without the reduced dimensions
};

StatusOr<Axes> AxesOf(OnnxNode& node) {
  Axes axes;
  HONE_ASSIGN_OR_RETURN(axes.x, node.Input(0));
  std::vector<int64_t> listed = node.Ints("axes");
  if (node.Has(1)) {
    HONE_ASSIGN_OR_RETURN(listed, node.KnownInts(1, "axes"));
  }
  const int64_t rank = node.Rank(axes.x);
  axes.nothing = listed.empty() && node.Int("noop_with_empty_axes", 0) != 0;
  axes.reduced.assign(rank, listed.empty() && !axes.nothing);
  for (int64_t axis : listed) {
    HONE_ASSIGN_OR_RETURN(const int d, node.Axis(axis, rank));
    axes.reduced[d] = true;
  }
  for (int64_t d = 0; d < rank; ++d) {
    if (!axes.reduced[d]) {
      axes.shape.push_back(node.Shape(axes.x)[d]);
    } else if (node.Int("keepdims", 1) != 0) {
      axes.shape.push_back(1);
    }
  }
  return axes;
}

// combine(before(x)), and then `after`; empty functions do nothing.
Status ImportReduce(OnnxNode& node, Combiner combiner,
                    const std::function<Expr(const std::vector<Expr>&)>& before = nullptr,
                    const std::function<Expr(const std::vector<Expr>&)>& after = nullptr) {
  HONE_ASSIGN_OR_RETURN(const Axes axes, AxesOf(node));
  int value = axes.x;
  if (before) {
    HONE_ASSIGN_OR_RETURN(value, node.Elementwise({value}, before));
  }
  if (!axes.nothing) {
    HONE_ASSIGN_OR_RETURN(value, node.Reduce(value, combiner, axes.reduced));
  }
  if (after) {
    HONE_ASSIGN_OR_RETURN(value, node.Elementwise({value}, after));
  }
  return node.Done(node.Reshape(value, axes.shape));
}

Status ImportSoftmaxOf(OnnxNode& node, bool log) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const int rank = static_cast<int>(node.Rank(x));
  HONE_ASSIGN_OR_RETURN(const int axis,
                        node.Axis(node.Int("axis", node.opset() < 13 ? 1 : -1), rank));
  // Before opset 13 everything from the axis on was one dimension.
  const int count = node.opset() < 13 ? rank - axis : 1;
  return node.Done(
      node.graph().Add(node.name(), SoftmaxOp{.first = axis, .count = count, .log = log}, {x}));
}

// (x - mean) / sqrt(variance + epsilon), both over `reduced`.
StatusOr<int> Normalized(OnnxNode& node, int x, const std::vector<bool>& reduced, double epsilon) {
  HONE_RETURN_IF_ERROR(node.WantFloat(x));
  HONE_ASSIGN_OR_RETURN(const int mean, node.Mean(x, reduced));
  HONE_ASSIGN_OR_RETURN(
      const int centred,
      node.Elementwise({x, mean}, [](const std::vector<Expr>& v) { return v[0] - v[1]; }));
  HONE_ASSIGN_OR_RETURN(const int squares, node.Elementwise({centred}, Square));
  HONE_ASSIGN_OR_RETURN(const int variance, node.Mean(squares, reduced));
  HONE_ASSIGN_OR_RETURN(
      const int factor, node.Elementwise({variance}, [&](const std::vector<Expr>& v) {
        const DType dtype = v[0].type().dtype;
        return Number(1, dtype) / Unary(UnaryOp::kSqrt, v[0] + Number(epsilon, dtype));
      }));
  return node.Elementwise({centred, factor},
                          [](const std::vector<Expr>& v) { return v[0] * v[1]; });
}

// value * scale + bias
StatusOr<int> ScaleAndShift(OnnxNode& node, int value, int scale, int bias) {
  std::vector<int> operands = {value, scale};
  if (bias >= 0) operands.push_back(bias);
  return node.Elementwise(operands, [&](const std::vector<Expr>& v) {
    return bias >= 0 ? v[0] * v[1] + v[2] : v[0] * v[1];
  });
}

}  // namespace

Status ImportReduceL1(OnnxNode& node) {
  return ImportReduce(node, Combiner::kSum,
                      [](const std::vector<Expr>& v) { return Unary(UnaryOp::kAbs, v[0]); });
}

Status ImportReduceL2(OnnxNode& node) {
  return ImportReduce(node, Combiner::kSum, Square,
                      [](const std::vector<Expr>& v) { return Unary(UnaryOp::kSqrt, v[0]); });
}

Status ImportReduceLogSum(OnnxNode& node) {
  return ImportReduce(node, Combiner::kSum, nullptr,
                      [](const std::vector<Expr>& v) { return Unary(UnaryOp::kLog, v[0]); });
}

// max + log(sum(exp(x - max))): no overflow.
Status ImportReduceLogSumExp(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const Axes axes, AxesOf(node));
  HONE_ASSIGN_OR_RETURN(const int top, node.Reduce(axes.x, Combiner::kMax, axes.reduced));
  HONE_ASSIGN_OR_RETURN(const int shifted,
                        node.Elementwise({axes.x, top}, [](const std::vector<Expr>& v) {
                          return Unary(UnaryOp::kExp, v[0] - v[1]);
                        }));
  HONE_ASSIGN_OR_RETURN(const int sum, node.Reduce(shifted, Combiner::kSum, axes.reduced));
  HONE_ASSIGN_OR_RETURN(const int y, node.Elementwise({sum, top}, [](const std::vector<Expr>& v) {
    return Unary(UnaryOp::kLog, v[0]) + v[1];
  }));
  return node.Done(node.Reshape(y, axes.shape));
}

Status ImportReduceMax(OnnxNode& node) { return ImportReduce(node, Combiner::kMax); }
Status ImportReduceMin(OnnxNode& node) { return ImportReduce(node, Combiner::kMin); }
Status ImportReduceProd(OnnxNode& node) { return ImportReduce(node, Combiner::kProd); }
Status ImportReduceSum(OnnxNode& node) { return ImportReduce(node, Combiner::kSum); }

Status ImportReduceMean(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const Axes axes, AxesOf(node));
  if (axes.nothing) return node.Done(axes.x);
  HONE_ASSIGN_OR_RETURN(const int mean, node.Mean(axes.x, axes.reduced));
  return node.Done(node.Reshape(mean, axes.shape));
}

Status ImportReduceSumSquare(OnnxNode& node) { return ImportReduce(node, Combiner::kSum, Square); }

Status ImportSoftmax(OnnxNode& node) { return ImportSoftmaxOf(node, false); }
Status ImportLogSoftmax(OnnxNode& node) { return ImportSoftmaxOf(node, true); }

Status ImportLayerNormalization(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int scale, node.Input(1));
  if (node.WantsOutput(1) || node.WantsOutput(2)) {
    return absl::UnimplementedError("its outputs Mean and InvStdDev are not supported");
  }
  const int64_t rank = node.Rank(x);
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", -1), rank));
  std::vector<bool> reduced(rank, false);
  for (int64_t d = axis; d < rank; ++d) reduced[d] = true;
  HONE_ASSIGN_OR_RETURN(const int y, Normalized(node, x, reduced, node.Float("epsilon", 1e-5)));
  int bias = -1;
  if (node.Has(2)) {
    HONE_ASSIGN_OR_RETURN(bias, node.Input(2));
  }
  return node.Done(ScaleAndShift(node, y, scale, bias));
}

Status ImportInstanceNormalization(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> inputs, node.AllInputs());
  const int64_t rank = node.Rank(inputs[0]);
  if (inputs.size() != 3 || rank < 3) {
    return absl::InvalidArgumentError("it needs three inputs, the first of at least 3 dimensions");
  }
  std::vector<bool> reduced(rank, true);
  reduced[0] = reduced[1] = false;
  HONE_ASSIGN_OR_RETURN(const int y,
                        Normalized(node, inputs[0], reduced, node.Float("epsilon", 1e-5)));
  std::vector<int64_t> per_channel(rank - 1, 1);
  per_channel[0] = node.Shape(inputs[0])[1];
  HONE_ASSIGN_OR_RETURN(const int scale, node.Reshape(inputs[1], per_channel));
  HONE_ASSIGN_OR_RETURN(const int bias, node.Reshape(inputs[2], per_channel));
  return node.Done(ScaleAndShift(node, y, scale, bias));
}

Status ImportGroupNormalization(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> inputs, node.AllInputs());
  const std::vector<int64_t> shape = node.Shape(inputs[0]);
  const int64_t groups = node.Int("num_groups", 1);
  if (inputs.size() != 3 || shape.size() < 2 || groups < 1 || shape[1] % groups != 0) {
    return absl::InvalidArgumentError("its groups do not fit its input");
  }
  const int64_t rest = groups == 0 ? 0 : ElementCount(shape) / shape[0] / groups;
  HONE_ASSIGN_OR_RETURN(const int grouped, node.Reshape(inputs[0], {shape[0], groups, rest}));
  HONE_ASSIGN_OR_RETURN(
      int y, Normalized(node, grouped, {false, false, true}, node.Float("epsilon", 1e-5)));
  int scale = inputs[1];
  int bias = inputs[2];
  if (node.opset() < 21) {  // one scale a group: [N,G,rest]
    HONE_ASSIGN_OR_RETURN(scale, node.Reshape(scale, {groups, 1}));
    HONE_ASSIGN_OR_RETURN(bias, node.Reshape(bias, {groups, 1}));
    HONE_ASSIGN_OR_RETURN(y, ScaleAndShift(node, y, scale, bias));
    return node.Done(node.Reshape(y, shape));
  }
  std::vector<int64_t> per_channel(shape.size() - 1, 1);
  per_channel[0] = shape[1];
  HONE_ASSIGN_OR_RETURN(y, node.Reshape(y, shape));
  HONE_ASSIGN_OR_RETURN(scale, node.Reshape(scale, per_channel));
  HONE_ASSIGN_OR_RETURN(bias, node.Reshape(bias, per_channel));
  return node.Done(ScaleAndShift(node, y, scale, bias));
}

Status ImportLpNormalization(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", -1), node.Rank(x)));
  const bool squares = node.Int("p", 2) == 2;
  std::vector<bool> reduced(node.Rank(x), false);
  reduced[axis] = true;
  HONE_ASSIGN_OR_RETURN(const int terms, node.Elementwise({x}, [&](const std::vector<Expr>& v) {
    return squares ? v[0] * v[0] : Unary(UnaryOp::kAbs, v[0]);
  }));
  HONE_ASSIGN_OR_RETURN(const int sum, node.Reduce(terms, Combiner::kSum, reduced));
  return node.Done(node.Elementwise({x, sum}, [&](const std::vector<Expr>& v) {
    return v[0] / (squares ? Unary(UnaryOp::kSqrt, v[1]) : v[1]);
  }));
}

}  // namespace hone
