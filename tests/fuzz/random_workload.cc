#include "tests/fuzz/random_workload.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/operators/attention.h"
#include "compiler/operators/convolution.h"
#include "compiler/operators/elementwise.h"
#include "compiler/operators/index_map.h"
#include "compiler/operators/matmul.h"
#include "compiler/operators/pooling.h"
#include "compiler/operators/reduction.h"
#include "compiler/operators/row_chain.h"
#include "compiler/operators/softmax.h"
#include "tests/fuzz/random_stages.h"

namespace hone {
namespace {

using Shape = std::vector<int64_t>;

class WorkloadDrawer {
 public:
  explicit WorkloadDrawer(std::mt19937_64& random) : draw_(random) {}

  Workload Make() {
    switch (draw_.Below(14)) {
      case 0:
      case 1:
        return DrawConvolution();
      case 2:
        return DrawTransposedConvolution();
      case 3:
      case 4:
        return DrawMatMul();
      case 5:
        return DrawPooling();
      case 6:
        return DrawReduction();
      case 7:
        return DrawElementwise();
      case 8:
        return DrawSoftmax();
      case 9:
        return DrawRowChain();
      case 10:
        return DrawAttention();
      case 11:
        return DrawMovement();
      case 12:
        return RandomContraction(draw_);
      default:
        return RandomStages(draw_);
    }
  }

 private:
  Window DrawWindow(size_t rank) {
    Window window;
    for (size_t d = 0; d < rank; ++d) {
      window.kernel.push_back(draw_.Pick<int64_t>({1, 1, 2, 3, 3, 3, 4, 5}));
      window.strides.push_back(draw_.Pick<int64_t>({1, 1, 1, 2, 3}));
      window.dilations.push_back(draw_.Pick<int64_t>({1, 1, 1, 2}));
      const bool far = draw_.Chance(8);  // padding beyond the kernel
      window.pads_begin.push_back(draw_.Below(window.kernel[d]) + (far ? window.kernel[d] : 0));
      window.pads_end.push_back(draw_.Below(window.kernel[d]) + (far ? 2 : 0));
    }
    return window;
  }

  // The input's extent grows until the window fits.
  static int64_t OutputExtent(const Window& window, size_t d, int64_t* input) {
    const int64_t reach = (window.kernel[d] - 1) * window.dilations[d] + 1;
    *input = std::max(*input, reach - window.pads_begin[d] - window.pads_end[d]);
    return (*input + window.pads_begin[d] + window.pads_end[d] - reach) / window.strides[d] + 1;
  }

  // x [N, C, ...] and y [N, O, ...] of a window over `rank` dimensions.
  void DrawImages(const Window& window, int64_t channels, int64_t outputs, Shape* x, Shape* y) {
    const int64_t images = draw_.Pick<int64_t>({1, 1, 1, 2, 3});
    *x = {images, channels};
    *y = {images, outputs};
    for (size_t d = 0; d < window.kernel.size(); ++d) {
      int64_t extent = draw_.Extent(15);
      y->push_back(OutputExtent(window, d, &extent));
      x->push_back(extent);
    }
  }

  size_t DrawRank() { return draw_.Pick<size_t>({1, 2, 2, 2, 2, 3}); }

  Workload DrawConvolution() {
    Convolution c;
    c.window = DrawWindow(DrawRank());
    int64_t inputs = draw_.Extent(32);  // a group
    int64_t outputs = draw_.Extent(32);
    if (draw_.Chance(3)) {
      c.groups = draw_.Extent(17);
      inputs = draw_.Pick<int64_t>({1, 1, 2, 5});
      outputs = draw_.Pick<int64_t>({1, 1, 2, 8});
    }
    DrawImages(c.window, inputs * c.groups, outputs * c.groups, &c.x, &c.y);
    c.w = {outputs * c.groups, inputs};
    c.w.insert(c.w.end(), c.window.kernel.begin(), c.window.kernel.end());
    c.constant_weights = !draw_.Chance(6);
    return ConvolutionWorkload(c, DrawEpilogue(c.y, Broadcasting::kChannels));
  }

  Workload DrawTransposedConvolution() {
    Convolution c;
    c.window = DrawWindow(draw_.Pick<size_t>({1, 2, 2}));
    const int64_t inputs = draw_.Extent(13);
    const int64_t outputs = draw_.Extent(13);
    c.x = {draw_.Pick<int64_t>({1, 2}), inputs};
    c.y = {c.x[0], outputs};
    for (size_t d = 0; d < c.window.kernel.size(); ++d) {
      const int64_t extent = draw_.Extent(9);
      const int64_t reach = (c.window.kernel[d] - 1) * c.window.dilations[d] + 1;
      c.x.push_back(extent);
      c.y.push_back(std::max<int64_t>(1, (extent - 1) * c.window.strides[d] + reach -
                                             c.window.pads_begin[d] - c.window.pads_end[d]));
    }
    c.w = {inputs, outputs};
    c.w.insert(c.w.end(), c.window.kernel.begin(), c.window.kernel.end());
    return ConvolutionTransposeWorkload(c, DrawEpilogue(c.y));
  }

  Workload DrawMatMul() {
    MatMul m;
    const int64_t rows = draw_.Extent(40);
    const int64_t columns = draw_.Extent(50);
    const int64_t depth = draw_.Extent(40);
    m.transpose_x = draw_.Chance(3);
    m.transpose_w = draw_.Chance(3);
    m.constant_x = draw_.Chance(5);
    m.constant_w = !m.constant_x && !draw_.Chance(3);
    const int batches = draw_.Pick<int>({0, 0, 0, 1, 2});
    for (int b = 0; b < batches; ++b) {
      const int64_t extent = draw_.Extent(5);
      // Broadcast on either side.
      m.x.push_back(draw_.Chance(4) ? 1 : extent);
      if (b > 0 || !draw_.Chance(3)) m.w.push_back(draw_.Chance(4) ? 1 : extent);
    }
    const Shape x = m.transpose_x ? Shape{depth, rows} : Shape{rows, depth};
    const Shape w = m.transpose_w ? Shape{columns, depth} : Shape{depth, columns};
    m.x.insert(m.x.end(), x.begin(), x.end());
    m.w.insert(m.w.end(), w.begin(), w.end());
    return MatMulWorkload(m, DrawEpilogue(MatMulShape(m)));
  }

  Workload DrawPooling() {
    Pooling p;
    p.kind = draw_.Chance(2) ? Pooling::Kind::kMax : Pooling::Kind::kAverage;
    p.window = DrawWindow(DrawRank());
    for (size_t d = 0; d < p.window.kernel.size(); ++d) {
      // A window always holds a point of the input: an average of none is no number.
      const int64_t reach = (p.window.kernel[d] - 1) * p.window.dilations[d];
      p.window.pads_begin[d] = std::min(p.window.pads_begin[d], reach > 0 ? 1 : int64_t{0});
      p.window.pads_end[d] = std::min(p.window.pads_end[d], reach > 0 ? 1 : int64_t{0});
      if (p.window.kernel[d] == 2) p.window.dilations[d] = 1;
    }
    const int64_t channels = draw_.Extent(17);
    DrawImages(p.window, channels, channels, &p.x, &p.y);
    for (size_t d = 0; d < p.window.kernel.size(); ++d) {
      int64_t extent = std::max<int64_t>(p.x[d + 2], p.window.dilations[d] + 1);
      p.y[d + 2] = OutputExtent(p.window, d, &extent);
      p.x[d + 2] = extent;
    }
    p.count_padding = draw_.Chance(2);
    return PoolingWorkload(p, DrawEpilogue(p.y));
  }

  Shape DrawShape(int rank, int64_t extent_max) {
    Shape shape;
    for (int d = 0; d < rank; ++d) shape.push_back(draw_.Extent(extent_max));
    return shape;
  }

  Workload DrawReduction() {
    Reduction r;
    r.combiner =
        draw_.Pick<Combiner>({Combiner::kSum, Combiner::kSum, Combiner::kMax, Combiner::kMin});
    r.dtype = draw_.Pick<DType>({DType::kF32, DType::kF32, DType::kI32, DType::kI64});
    const int rank = 1 + draw_.Below(4);
    r.x = DrawShape(rank, rank == 1 ? 500 : 41);
    Shape kept;
    for (int d = 0; d < rank; ++d) {
      r.reduced.push_back(draw_.Chance(2));
      kept.push_back(r.reduced[d] ? 1 : r.x[d]);
    }
    return ReductionWorkload(r, r.dtype == DType::kF32 ? DrawEpilogue(kept) : Epilogue{});
  }

  Workload DrawElementwise() {
    const Shape shape = DrawShape(1 + draw_.Below(4), 60);
    Epilogue e = DrawEpilogue(shape);
    // There is no value computed before.
    const int first = static_cast<int>(e.operands.size());
    e.operands.push_back(DrawOperand(shape));
    const Expr v = AsF32(EpilogueOperand(first, e.operands.back().dtype));
    e.value = e.value ? Substitute(e.value, {{"x", v}}) : v;
    // The first operand has the full shape.
    e.operands[0].shape = shape;
    e.operands[0].constant = false;
    return ElementwiseWorkload(shape, e);
  }

  Workload DrawSoftmax() {
    Softmax s;
    const int rank = 1 + draw_.Below(3);
    s.x = DrawShape(rank, 45);
    s.first = draw_.Below(rank);
    s.count = draw_.Chance(3) ? rank - s.first : 1;
    s.log = draw_.Chance(3);
    return SoftmaxWorkload(s,
                           draw_.Chance(2) ? Epilogue{} : DrawEpilogue(s.x, Broadcasting::kNone));
  }

  Workload DrawRowChain() {
    RowChain chain;
    const int rank = 2 + draw_.Below(2);
    chain.shape = DrawShape(rank, 40);
    chain.first = 1 + draw_.Below(rank - 1);
    int64_t row = 1;
    for (int d = chain.first; d < rank; ++d) row *= chain.shape[d];
    chain.operands.push_back({DType::kF32, chain.shape});
    for (int i = draw_.Below(3); i > 0; --i) chain.operands.push_back(DrawOperand(chain.shape));
    auto operand = [&](size_t i) {
      return AsF32(EpilogueOperand(static_cast<int>(i), chain.operands[i].dtype));
    };
    const Expr scale = Float(1.0 / static_cast<double>(row));
    // Mean, what lies about it, its size; then the operands in.
    chain.stages.push_back({Combiner::kSum, true, operand(0)});
    chain.stages.push_back({Combiner::kNone, true, RowStageValue(0) * scale});
    chain.stages.push_back({Combiner::kNone, false, operand(0) - RowStageValue(1)});
    const Combiner combiner =
        draw_.Pick<Combiner>({Combiner::kSum, Combiner::kSum, Combiner::kMax});
    chain.stages.push_back({combiner, true, RowStageValue(2) * RowStageValue(2)});
    chain.stages.push_back(
        {Combiner::kNone, true,
         Float(1) / Unary(UnaryOp::kSqrt, RowStageValue(3) * scale + Float(1e-2))});
    if (draw_.Chance(4)) return RowChainWorkload(chain);
    Expr value = RowStageValue(2) * RowStageValue(4);
    for (size_t i = 1; i < chain.operands.size(); ++i) {
      value = draw_.Chance(2) ? value * operand(i) : value + operand(i);
    }
    if (draw_.Chance(2)) value = Max(value, Float(0));
    chain.stages.push_back({Combiner::kNone, false, value});
    return RowChainWorkload(chain);
  }

  Workload DrawAttention() {
    Attention a;
    const Shape batch = DrawShape(draw_.Pick<int>({0, 1, 1, 2}), 3);
    const int64_t rows = draw_.Extent(19);
    const int64_t columns = draw_.Extent(23);
    const int64_t depth = draw_.Extent(17);
    const int64_t width = draw_.Extent(17);
    a.transpose_k = draw_.Chance(2);
    auto operand = [&](int64_t outer, int64_t inner, bool constant) {
      Shape shape = batch;
      shape.push_back(outer);
      shape.push_back(inner);
      return Operand{DType::kF32, shape, constant};
    };
    a.q = operand(rows, depth, false);
    a.k = a.transpose_k ? operand(columns, depth, draw_.Chance(5))
                        : operand(depth, columns, draw_.Chance(5));
    a.v = operand(columns, width, draw_.Chance(5));
    a.score.value = EpilogueValue(DType::kF32) * Float(0.25);
    if (draw_.Chance(2)) {
      a.score.operands.push_back(DrawOperand(ScoreShape(a)));
      a.score.operands[0].dtype = DType::kF32;
      a.score.value = a.score.value + EpilogueOperand(0, DType::kF32);
    }
    if (!IsAttention(a)) return DrawMatMul();
    return AttentionWorkload(a);
  }

  // Transpose, slice, pad, repeat, gather, concatenate.
  Workload DrawMovement() {
    const int rank = 1 + draw_.Below(4);
    const DType dtype = draw_.ElementType();
    if (draw_.Chance(4)) {
      const int axis = draw_.Below(rank);
      std::vector<Operand> operands(2 + draw_.Below(2));
      const Shape shape = DrawShape(rank, 17);
      for (Operand& operand : operands) {
        operand = {dtype, shape, draw_.Chance(5)};
        operand.shape[axis] = draw_.Extent(9);
      }
      const IndexMap map = Concatenation(operands, axis);
      return IndexMapWorkload(map, EpilogueOf(map));
    }
    IndexMap map;
    Operand x{dtype, {}, draw_.Chance(8)};
    std::vector<int> order(rank);
    for (int d = 0; d < rank; ++d) order[d] = d;
    std::shuffle(order.begin(), order.end(), draw_.random());
    map.y = DrawShape(rank, 23);
    std::vector<Expr> index;
    bool guarded = false;
    for (int d = 0; d < rank; ++d) {
      const Expr along = Var(absl::StrCat("d", order[d]));
      const int64_t extent = map.y[order[d]];
      switch (draw_.Below(7)) {
        case 0:  // strided slice
          index.push_back(along * 2 + 1);
          x.shape.push_back(2 * extent + draw_.Below(3));
          break;
        case 1:  // backwards
          index.push_back(along * -1 + (extent - 1));
          x.shape.push_back(extent + draw_.Below(2));
          break;
        case 2:  // padding
          index.push_back(along - draw_.Below(4));
          x.shape.push_back(std::max<int64_t>(1, extent - draw_.Below(6)));
          guarded = true;
          break;
        case 3:  // repetition
          x.shape.push_back(1 + draw_.Below(static_cast<int>(extent)));
          index.push_back(FloorMod(along, x.shape.back()));
          break;
        case 4:  // nearest neighbours
          index.push_back(FloorDiv(along, 2 + draw_.Below(2)));
          x.shape.push_back(extent / 2 + 1);
          break;
        case 5:  // gather
          x.shape.push_back(draw_.Extent(19));
          index.push_back(FloorMod(Load("v1", DType::kI64, {along}), x.shape.back()));
          map.operands.resize(2);
          map.operands[1] = {DType::kI64, {extent}, draw_.Chance(2)};
          // One gathered dimension has its positions.
          for (int rest = d + 1; rest < rank; ++rest) {
            index.push_back(Var(absl::StrCat("d", order[rest])));
            x.shape.push_back(map.y[order[rest]]);
          }
          d = rank;
          break;
        default:
          index.push_back(along);
          x.shape.push_back(extent);
      }
    }
    if (map.operands.empty()) map.operands.resize(1);
    map.operands[0] = x;
    const Expr otherwise = !guarded         ? Expr()
                           : IsFloat(dtype) ? Float(1.5, {dtype, 1})
                                            : Int(1, {dtype, 1});
    map.body = Load("v0", dtype, index, otherwise);
    return IndexMapWorkload(map, EpilogueOf(map));
  }

  Epilogue EpilogueOf(const IndexMap& map) {
    const bool real = map.operands[0].dtype == DType::kF32;
    return real && draw_.Chance(2) ? DrawEpilogue(map.y) : Epilogue{};
  }

  Expr AsF32(const Expr& e) { return Cast(e, DType::kF32); }

  // How operands of an epilogue broadcast: workloads see some dimensions as one (frame.h), and
  // operands do not tell these apart.
  enum class Broadcasting { kNone, kChannels, kAny };

  Operand DrawOperand(const Shape& shape, Broadcasting broadcasting = Broadcasting::kAny) {
    Operand operand;
    operand.shape = shape;
    if (broadcasting != Broadcasting::kNone && !draw_.Chance(3)) {
      operand.constant = draw_.Chance(2);
      const bool channels = broadcasting == Broadcasting::kChannels || draw_.Chance(2);
      for (size_t d = 0; d < shape.size(); ++d) {
        if (channels && shape.size() > 1 ? d != 1 : draw_.Chance(3)) operand.shape[d] = 1;
      }
    }
    if (draw_.Chance(8)) operand.dtype = draw_.ElementType();
    if (operand.dtype == DType::kBF16) operand.dtype = DType::kF16;
    return operand;
  }

  Epilogue DrawEpilogue(const Shape& shape, Broadcasting broadcasting = Broadcasting::kAny) {
    Epilogue e;
    if (draw_.Chance(3)) return e;
    Expr value = EpilogueValue(DType::kF32);
    auto operand = [&] {
      e.operands.push_back(DrawOperand(shape, broadcasting));
      return AsF32(
          EpilogueOperand(static_cast<int>(e.operands.size()) - 1, e.operands.back().dtype));
    };
    for (int i = 1 + draw_.Below(3); i > 0; --i) {
      switch (draw_.Below(10)) {
        case 0:
        case 1:
          value = value + operand();
          break;
        case 2:
          value = value * operand();
          break;
        case 3:
          value = Max(value, Float(0));
          break;
        case 4:
          value = Min(Max(value, Float(0)), Float(6));
          break;
        case 5:
          value = Select(Less(Float(0), value), value, value * Float(0.125));
          break;
        case 6:
          value = value * Unary(UnaryOp::kSigmoid, value);
          break;
        case 7:
          value = value * Float(0.5) * (Unary(UnaryOp::kErf, value * Float(0.70710678)) + Float(1));
          break;
        case 8:
          value = Unary(draw_.Chance(2) ? UnaryOp::kTanh : UnaryOp::kAbs, value);
          break;
        default:
          value = value * Float(0.25);
      }
    }
    if (draw_.Chance(12)) value = Cast(value, DType::kF16);
    e.value = value;
    return e;
  }

  Draw draw_;
};

// Makes an extent a parameter, wherever it is the same one: a dimension of the stages, and what
// they index by it alone. False where an index computes with it, or nothing has it.
bool OpenExtent(Workload& workload, const std::string& dim, const std::string& param) {
  Workload opened = workload;
  int64_t extent = -1;
  std::map<std::string, std::vector<bool>> along;  // of tensors: which dimensions
  bool plain = true;
  for (Stage& stage : opened.stages) {
    for (std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
      for (size_t d = 0; d < dims->size(); ++d) {
        Dim& own = (*dims)[d];
        if (own.name != dim) continue;
        if (!own.extent.IsInt() || (extent >= 0 && own.extent->int_value != extent)) return false;
        extent = own.extent->int_value;
        own.extent = Var(param);
        if (dims == &stage.reduce) continue;
        along[stage.name].resize(stage.dims.size());
        along[stage.name][d] = true;
      }
    }
  }
  if (extent < 2) return false;
  for (const Stage& stage : opened.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return;
      const std::vector<Expr> indices = Indices(e);
      std::vector<bool>& open = along[e->name];
      open.resize(indices.size());
      for (size_t d = 0; d < indices.size(); ++d) {
        if (indices[d].IsVar(dim)) {
          open[d] = true;
        } else if (UsesVar(indices[d], dim)) {
          plain = false;
        }
      }
    });
  }
  // Every read of an open dimension goes along it.
  for (const Stage& stage : opened.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return;
      const std::vector<Expr> indices = Indices(e);
      for (size_t d = 0; d < indices.size(); ++d) {
        plain &= !along[e->name][d] || indices[d].IsVar(dim);
      }
    });
  }
  if (!plain) return false;
  for (Buffer& buffer : opened.buffers) {
    const auto found = along.find(buffer.name);
    if (found == along.end()) continue;
    for (size_t d = 0; d < buffer.shape.size(); ++d) {
      if (!found->second[d]) continue;
      if (!buffer.shape[d].IsInt(extent)) return false;
      buffer.shape[d] = Var(param);
    }
  }
  opened.params.push_back({param, 0, extent});
  if (!opened.Verify().ok()) return false;
  workload = std::move(opened);
  return true;
}

}  // namespace

int64_t PointCount(const Workload& workload) {
  int64_t count = 0;
  for (const Stage& stage : workload.stages) {
    int64_t points = 1;
    for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
      for (const Dim& dim : *dims) {
        int64_t extent = dim.extent.IsInt() ? dim.extent->int_value : 1;
        for (const Param& param : workload.params) {
          if (dim.extent.IsVar(param.name)) extent = param.max;
        }
        points *= extent;
      }
    }
    count += points;
  }
  return count;
}

Workload RandomWorkload(std::mt19937_64& random, int64_t points_max) {
  while (true) {
    Workload workload = WorkloadDrawer(random).Make();
    if (PointCount(workload) > points_max) continue;
    if (random() % 4 == 0) {
      const Stage& stage = workload.stages[random() % workload.stages.size()];
      if (!stage.dims.empty()) {
        const std::string dim = stage.dims[random() % stage.dims.size()].name;
        OpenExtent(workload, dim, "M");
      }
    }
    const Status verified = workload.Verify();
    HONE_CHECK(verified.ok()) << verified << "\n" << workload.ToString();
    return workload;
  }
}

}  // namespace hone
