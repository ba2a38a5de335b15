#include "compiler/operators/pooling.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

bool LeavesInput(const Pooling& p) {
  for (size_t d = 0; d < p.window.kernel.size(); ++d) {
    const int64_t last = (p.y[d + 2] - 1) * p.window.strides[d] +
                         (p.window.kernel[d] - 1) * p.window.dilations[d] - p.window.pads_begin[d];
    if (p.window.pads_begin[d] > 0 || last >= p.x[d + 2]) return true;
  }
  return false;
}

// How many points of the window at output position `var` count along one dimension: those inside
// the input, or inside the padded input.
int64_t CountAt(const Pooling& p, size_t d, int64_t position) {
  const int64_t begin = p.count_padding ? -p.window.pads_begin[d] : 0;
  const int64_t end = p.x[d + 2] + (p.count_padding ? p.window.pads_end[d] : 0);
  const int64_t start = position * p.window.strides[d] - p.window.pads_begin[d];
  const int64_t step = p.window.dilations[d];
  // Taps k with begin <= start + k * step < end.
  const int64_t first = start >= begin ? 0 : (begin - start + step - 1) / step;
  const int64_t last = start >= end ? 0 : (end - start + step - 1) / step;
  return std::max<int64_t>(0, std::min(last, p.window.kernel[d]) - first);
}

// The same as an expression of `var`: a constant where all positions agree; the overlap of two
// intervals for dense windows; for dilated ones a chain over the window's points.
Expr CountExpr(const Pooling& p, size_t d, const Expr& var) {
  if (!LeavesInput(p)) return Int(p.window.kernel[d]);
  bool constant = true;
  for (int64_t at = 1; constant && at < p.y[d + 2]; ++at)
    constant &= CountAt(p, d, at) == CountAt(p, d, 0);
  if (constant) return Int(CountAt(p, d, 0));
  const int64_t begin = p.count_padding ? -p.window.pads_begin[d] : 0;
  const int64_t end = p.x[d + 2] + (p.count_padding ? p.window.pads_end[d] : 0);
  const Expr start = var * p.window.strides[d] + (-p.window.pads_begin[d]);
  if (p.window.dilations[d] == 1) {
    return Min(start + p.window.kernel[d], Int(end)) - Max(start, Int(begin));
  }
  Expr count = Int(0);
  for (int64_t k = 0; k < p.window.kernel[d]; ++k) {
    const Expr at = start + k * p.window.dilations[d];
    count = count + Select(And(LessEqual(Int(begin), at), Less(at, Int(end))), Int(1), Int(0));
  }
  return count;
}

}  // namespace

Workload PoolingWorkload(const Pooling& p, const Epilogue& epilogue) {
  const size_t rank = p.window.kernel.size();
  HONE_CHECK(rank >= 1 && rank <= 3) << "pooling has one to three spatial dimensions";
  const bool max = p.kind == Pooling::Kind::kMax;
  std::vector<std::string> names = {"n", "c"};
  Core core{.combiner = max ? Combiner::kMax : Combiner::kSum};
  std::vector<Expr> index = {Var("n"), Var("c")};
  Expr count = Int(1);
  for (size_t d = 0; d < rank; ++d) {
    const Expr at = Var(SpatialNames(rank)[d]);
    const Expr offset = Var(WindowNames(rank)[d]);
    names.push_back(at->name);
    core.reduce.push_back({offset->name, Int(p.window.kernel[d])});
    index.push_back(at * p.window.strides[d] + offset * p.window.dilations[d] +
                    (-p.window.pads_begin[d]));
    count = count * CountExpr(p, d, at);
  }
  const double outside = max ? -std::numeric_limits<double>::infinity() : 0;
  core.body = Load("x", DType::kF32, index, LeavesInput(p) ? Float(outside) : Expr());
  Epilogue after = epilogue;
  if (!max) {
    const Expr sum = EpilogueValue(DType::kF32);
    const Expr mean = count.IsInt() ? sum * Float(1.0f / static_cast<float>(count->int_value))
                                    : sum / Cast(count, DType::kF32);
    after.value = epilogue.value ? Substitute(epilogue.value, {{"x", mean}}) : mean;
  }
  Workload workload;
  workload.buffers.push_back(ArgumentBuffer("x", DType::kF32, BufferRole::kInput, p.x));
  Finish(core, Frame::Plain(p.y, names), after, workload);
  return workload;
}

}  // namespace hone
