#include "compiler/operators/softmax.h"

#include <string>

#include "compiler/ir/tensor.h"

namespace hone {
namespace {

// e^shifted, where `shifted` is at most 0 and says so: the function is shorter there.
Expr ExpOfNotPositive(const Expr& shifted) {
  return Unary(UnaryOp::kExp, Min(Float(0, shifted.type()), shifted));
}

// [begin, end) of the dimensions as one group.
DimGroup Group(const char* name, int begin, int end) { return {name, begin, end - begin}; }

}  // namespace

SoftmaxFactors AddSoftmaxStages(const Expr& x, const AddRowStage& add) {
  const Expr top = add("top", Combiner::kMax, true, x);
  const Expr e = add("e", Combiner::kNone, false, ExpOfNotPositive(x - top));
  const Expr total = add("total", Combiner::kSum, true, e);
  return {e, add("inverse", Combiner::kNone, true, Float(1, {DType::kF32, 1}) / total)};
}

LogSoftmaxTerms AddLogSoftmaxStages(const Expr& x, const AddRowStage& add) {
  const Expr shifted = x - add("top", Combiner::kMax, true, x);
  return {shifted, add("total", Combiner::kSum, true, ExpOfNotPositive(shifted))};
}

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

  Workload workload;
  workload.buffers.push_back(Buffer{.name = "x",
                                    .dtype = DType::kF32,
                                    .shape = frame.Shape(),
                                    .scope = Scope::kArgument,
                                    .role = BufferRole::kInput});
  const DType f32 = DType::kF32;
  const auto add = [&](absl::string_view name, Combiner combiner, bool per_row, const Expr& body) {
    const bool reduces = combiner != Combiner::kNone;
    workload.stages.push_back(
        {std::string(name), f32, per_row ? rows : dims, combiner,
         reduces ? std::vector<Dim>{over} : std::vector<Dim>{},
         reduces ? Substitute(body, {{dims[1].name, Var(over.name)}}) : body});
    return Load(std::string(name), f32, per_row ? row : at);
  };
  const Expr x = Load("x", f32, at);
  Expr value;
  if (softmax.log) {
    const LogSoftmaxTerms terms = AddLogSoftmaxStages(x, add);
    value = terms.shifted - Unary(UnaryOp::kLog, terms.total);
  } else {
    const SoftmaxFactors factors = AddSoftmaxStages(x, add);
    value = factors.e * factors.inverse;
  }
  Finish(Core{.body = value}, frame, epilogue, workload);
  return workload;
}

}  // namespace hone
