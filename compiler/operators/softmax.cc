#include "compiler/operators/softmax.h"

#include <map>
#include <utility>

#include "compiler/ir/tensor.h"

namespace hone {
namespace {

// [begin, end) of the dimensions as one group.
DimGroup Group(const char* name, int begin, int end) { return {name, begin, end - begin}; }

}  // namespace

Workload SoftmaxWorkload(const Softmax& softmax, const Epilogue& epilogue) {
  const int rank = static_cast<int>(softmax.x.size());
  const int end = softmax.first + softmax.count;
  const bool has_inner = ElementCount({softmax.x.begin() + end, softmax.x.end()}) > 1;
  std::vector<DimGroup> groups = {Group("m", 0, softmax.first),
                                  Group("n", softmax.first, has_inner ? end : rank)};
  if (has_inner) groups.push_back(Group("i", end, rank));
  const Frame frame(softmax.x, groups);
  const std::vector<Dim> dims = frame.Dims();
  std::vector<Dim> rows = {dims[0]};
  if (has_inner) rows.push_back(dims[2]);
  const Dim over{"k", dims[1].extent};
  const std::vector<Expr> at = frame.Vars();
  std::vector<Expr> row = {at[0]};
  if (has_inner) row.push_back(at[2]);
  std::vector<Expr> at_k = at;
  at_k[1] = Var("k");

  Workload workload;
  workload.buffers.push_back(Buffer{.name = "x",
                                    .dtype = DType::kF32,
                                    .shape = frame.Shape(),
                                    .scope = Scope::kArgument,
                                    .role = BufferRole::kInput});
  const DType f32 = DType::kF32;
  workload.stages.push_back({"top", f32, rows, Combiner::kMax, {over}, Load("x", f32, at_k)});
  const Expr shifted = Load("x", f32, at) - Load("top", f32, row);
  Expr value;
  if (softmax.log) {
    workload.stages.push_back({"total",
                               f32,
                               rows,
                               Combiner::kSum,
                               {over},
                               Unary(UnaryOp::kExp, Load("x", f32, at_k) - Load("top", f32, row))});
    value = shifted - Unary(UnaryOp::kLog, Load("total", f32, row));
  } else {
    workload.stages.push_back({"e", f32, dims, Combiner::kNone, {}, Unary(UnaryOp::kExp, shifted)});
    workload.stages.push_back({"total", f32, rows, Combiner::kSum, {over}, Load("e", f32, at_k)});
    // One division a row.
    workload.stages.push_back(
        {"inverse", f32, rows, Combiner::kNone, {}, Float(1, {f32, 1}) / Load("total", f32, row)});
    value = Load("e", f32, at) * Load("inverse", f32, row);
  }
  Finish(Core{.body = value}, frame, epilogue, workload);
  return workload;
}

}  // namespace hone
