#include "compiler/operators/convolution.h"

#include <string>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

std::vector<int64_t> Spatial(const std::vector<int64_t>& shape) {
  return {shape.begin() + 2, shape.end()};
}

int64_t Product(const std::vector<int64_t>& values) {
  int64_t product = 1;
  for (int64_t value : values) product *= value;
  return product;
}

// A 1x1 convolution that visits every point once: a matrix product over the flattened image.
bool IsPointwise(const Convolution& c) {
  for (size_t d = 0; d < c.window.kernel.size(); ++d) {
    if (c.window.kernel[d] != 1 || c.window.strides[d] != 1 || c.window.pads_begin[d] != 0 ||
        c.window.pads_end[d] != 0) {
      return false;
    }
  }
  return c.groups == 1;
}

bool IsDepthwise(const Convolution& c) {
  return c.groups > 1 && c.groups == c.x[1] && c.groups == c.y[1];
}

// Whether the window of some output point reaches outside the input.
bool LeavesInput(const Convolution& c) {
  for (size_t d = 0; d < c.window.kernel.size(); ++d) {
    const int64_t last = (c.y[d + 2] - 1) * c.window.strides[d] +
                         (c.window.kernel[d] - 1) * c.window.dilations[d] - c.window.pads_begin[d];
    if (c.window.pads_begin[d] > 0 || last >= c.x[d + 2]) return true;
  }
  return false;
}

Expr Zero(DType dtype) { return IsFloat(dtype) ? Float(0, {dtype, 1}) : Int(0, {dtype, 1}); }

Workload PointwiseWorkload(const Convolution& c, const Epilogue& epilogue) {
  const int spatial = static_cast<int>(c.x.size()) - 2;
  const int64_t points = Product(Spatial(c.x));
  const Frame frame(c.y, {{"n", 0, 1}, {"o", 1, 1}, {"m", 2, spatial}});
  Workload workload;
  workload.buffers.push_back(
      ArgumentBuffer("x", c.x_type, BufferRole::kInput, {c.x[0], c.x[1], points}));
  workload.buffers.push_back(
      ArgumentBuffer("w", c.w_type, c.constant_weights ? BufferRole::kConstant : BufferRole::kInput,
                     {c.w[0], c.w[1]}));
  Core core{.combiner = Combiner::kSum, .reduce = {{"i", Int(c.x[1])}}};
  core.dtype = SumType(c.x_type, c.w_type);
  core.body = ProductOf(Load("x", c.x_type, {Var("n"), Var("i"), Var("m")}),
                        Load("w", c.w_type, {Var("o"), Var("i")}));
  Finish(core, frame, epilogue, workload);
  return workload;
}

// How channels appear in the three other forms.
struct Channels {
  std::vector<DimGroup> groups;  // of the output, before the spatial ones
  std::vector<int64_t> y, x, w;  // leading extents of the buffers
  std::vector<Expr> x_index;     // leading indices
  std::vector<Expr> w_index;
  std::vector<Dim> reduce;
};

Channels ChannelsOf(const Convolution& c, bool transposed) {
  const Expr n = Var("n"), g = Var("g"), o = Var("o"), i = Var("i");
  if (IsDepthwise(c)) {
    return {.groups = {{"n", 0, 1}, {"c", 1, 1}},
            .y = {c.y[0], c.y[1]},
            .x = {c.x[0], c.x[1]},
            .w = {c.x[1]},
            .x_index = {n, Var("c")},
            .w_index = {Var("c")},
            .reduce = {}};
  }
  const int64_t in = c.x[1] / c.groups;
  const int64_t out = c.y[1] / c.groups;
  Channels channels{.reduce = {{"i", Int(in)}}};
  if (c.groups == 1) {
    channels.groups = {{"n", 0, 1}, {"o", 1, 1}};
    channels.y = {c.y[0], out};
    channels.x = {c.x[0], in};
    channels.x_index = {n, i};
  } else {
    channels.groups = {{"n", 0, 1}, {"g", 1, 1}, {"o", 2, 1}};
    channels.y = {c.y[0], c.groups, out};
    channels.x = {c.x[0], c.groups, in};
    channels.x_index = {n, g, i};
    channels.w = {c.groups};
    channels.w_index = {g};
  }
  for (int64_t extent : transposed ? std::vector{in, out} : std::vector{out, in}) {
    channels.w.push_back(extent);
  }
  for (const Expr& index : transposed ? std::vector{i, o} : std::vector{o, i}) {
    channels.w_index.push_back(index);
  }
  return channels;
}

void Append(const std::vector<int64_t>& tail, std::vector<int64_t>& to) {
  to.insert(to.end(), tail.begin(), tail.end());
}

// Operands see the channels as [N, O, ...]; with an explicit group dimension as [N, G, O/G, ...].
Epilogue SplitOperandChannels(const Convolution& c, const Epilogue& epilogue) {
  if (c.groups == 1 || IsDepthwise(c)) return epilogue;
  Epilogue split = epilogue;
  for (Operand& operand : split.operands) {
    const int64_t channel =
        static_cast<int64_t>(operand.shape.size()) - static_cast<int64_t>(c.y.size()) + 1;
    if (channel < 0) continue;
    auto at = operand.shape.begin() + channel;
    if (*at == 1) {
      operand.shape.insert(at, 1);
    } else {
      *at = c.y[1] / c.groups;
      operand.shape.insert(operand.shape.begin() + channel, c.groups);
    }
  }
  return split;
}

Workload SpatialWorkload(const Convolution& c, const Epilogue& epilogue, bool transposed) {
  const std::vector<std::string> spatial = SpatialNames(c.x.size() - 2);
  const std::vector<std::string> window = WindowNames(c.x.size() - 2);
  Channels channels = ChannelsOf(c, transposed);
  const bool guarded = transposed || LeavesInput(c);
  bool guarded_weights = false;
  Expr condition = Int(1, {DType::kBool, 1});
  for (size_t d = 0; d < spatial.size(); ++d) {
    const int64_t stride = c.window.strides[d];
    const int64_t dilation = c.window.dilations[d];
    const int64_t pad = c.window.pads_begin[d];
    channels.groups.push_back({spatial[d], static_cast<int>(channels.groups.size()), 1});
    if (transposed && dilation == 1) {
      const Expr at = Var(spatial[d]) + pad;
      const int64_t taps = (c.window.kernel[d] + stride - 1) / stride;
      channels.reduce.push_back({window[d], Int(taps)});
      channels.x_index.push_back(FloorDiv(at, stride) - Var(window[d]));
      channels.w_index.push_back(Var(window[d]) * stride + FloorMod(at, stride));
      guarded_weights |= taps * stride != c.window.kernel[d];
      continue;
    }
    channels.reduce.push_back({window[d], Int(c.window.kernel[d])});
    if (transposed) {
      const Expr at = Var(spatial[d]) - Var(window[d]) * dilation + pad;
      condition = And(condition, Binary(BinaryOp::kEqual, FloorMod(at, stride), Int(0)));
      channels.x_index.push_back(FloorDiv(at, stride));
    } else {
      channels.x_index.push_back(Var(spatial[d]) * stride + Var(window[d]) * dilation + (-pad));
    }
    channels.w_index.push_back(Var(window[d]));
  }
  Append(Spatial(c.x), channels.x);
  Append(Spatial(c.y), channels.y);
  Append(c.window.kernel, channels.w);

  Workload workload;
  workload.buffers.push_back(ArgumentBuffer("x", c.x_type, BufferRole::kInput, channels.x));
  workload.buffers.push_back(ArgumentBuffer(
      "w", c.w_type, c.constant_weights ? BufferRole::kConstant : BufferRole::kInput, channels.w));
  const Expr x_zero = Zero(c.x_type);
  const Expr x = Load("x", c.x_type, channels.x_index, guarded ? x_zero : Expr());
  const Expr w = Load("w", c.w_type, channels.w_index, guarded_weights ? Zero(c.w_type) : Expr());
  const Core core{.dtype = SumType(c.x_type, c.w_type),
                  .combiner = Combiner::kSum,
                  .reduce = channels.reduce,
                  .body = ProductOf(Select(condition, x, x_zero), w)};
  Finish(core, Frame(channels.y, channels.groups), SplitOperandChannels(c, epilogue), workload);
  return workload;
}

}  // namespace

std::vector<std::string> SpatialNames(size_t rank) {
  if (rank == 1) return {"w"};
  if (rank == 2) return {"h", "w"};
  return {"d", "h", "w"};
}
std::vector<std::string> WindowNames(size_t rank) {
  if (rank == 1) return {"q"};
  if (rank == 2) return {"p", "q"};
  return {"t", "p", "q"};
}

Workload ConvolutionWorkload(const Convolution& convolution, const Epilogue& epilogue) {
  const int rank = static_cast<int>(convolution.y.size());
  HONE_CHECK(rank >= 3 && rank <= 5) << "a convolution has one to three spatial dimensions";
  if (IsPointwise(convolution)) {
    const Frame flat(convolution.y, {{"n", 0, 1}, {"o", 1, 1}, {"m", 2, rank - 2}});
    if (flat.Fits(epilogue.operands)) return PointwiseWorkload(convolution, epilogue);
  }
  return SpatialWorkload(convolution, epilogue, false);
}

Workload ConvolutionTransposeWorkload(const Convolution& convolution, const Epilogue& epilogue) {
  const size_t rank = convolution.y.size();
  HONE_CHECK(rank >= 3 && rank <= 5) << "a convolution has one to three spatial dimensions";
  return SpatialWorkload(convolution, epilogue, true);
}

}  // namespace hone
