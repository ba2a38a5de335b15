#include "compiler/operators/attention.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/operators/softmax.h"

namespace hone {
namespace {

std::vector<int64_t> BatchOf(const std::vector<int64_t>& shape) {
  return {shape.begin(), shape.end() - 2};
}

std::vector<int64_t> WithLast(std::vector<int64_t> shape, int64_t last) {
  shape.back() = last;
  return shape;
}

int64_t FromEnd(const Operand& operand, int place) {
  return operand.shape[operand.shape.size() - place];
}

Stage Elementwise(const std::string& name, std::vector<Dim> dims, Expr body) {
  return {name, DType::kF32, std::move(dims), Combiner::kNone, {}, std::move(body)};
}

}  // namespace

bool IsAttention(const Attention& attention) {
  const size_t rank = attention.q.shape.size();
  if (rank < 2 || attention.k.shape.size() != rank || attention.v.shape.size() != rank) {
    return false;
  }
  const std::vector<int64_t> batch = BatchOf(attention.q.shape);
  return BatchOf(attention.k.shape) == batch && BatchOf(attention.v.shape) == batch;
}

std::vector<int64_t> ScoreShape(const Attention& attention) {
  return WithLast(attention.q.shape, FromEnd(attention.k, attention.transpose_k ? 2 : 1));
}

std::vector<int64_t> AttentionShape(const Attention& attention) {
  return WithLast(attention.q.shape, FromEnd(attention.v, 1));
}

Workload AttentionWorkload(const Attention& attention) {
  const std::vector<int64_t> scores = ScoreShape(attention);
  const int batch_rank = static_cast<int>(scores.size()) - 2;
  auto frame_of = [&](bool merge) {
    std::vector<DimGroup> groups;
    if (merge && batch_rank > 0) groups.push_back({"b", 0, batch_rank});
    for (int d = 0; d < batch_rank && !merge; ++d) groups.push_back({absl::StrCat("d", d), d, 1});
    groups.push_back({"m", batch_rank, 1});
    groups.push_back({"n", batch_rank + 1, 1});
    return Frame(scores, groups);
  };
  Frame frame = frame_of(/*merge=*/true);
  if (!frame.Fits(attention.score.operands)) frame = frame_of(/*merge=*/false);

  const std::vector<Dim> dims = frame.Dims();
  const std::vector<Dim> rows(dims.begin(), dims.end() - 1);
  const std::vector<Dim> batch(dims.begin(), dims.end() - 2);
  const Dim depth{"d", Int(FromEnd(attention.q, 1))};
  const Dim key{"l", dims.back().extent};
  const Dim feature{"o", Int(FromEnd(attention.v, 1))};
  auto at = [](const std::vector<Dim>& outer, std::initializer_list<Dim> inner) {
    std::vector<Expr> index;
    for (const Dim& dim : outer) index.push_back(Var(dim.name));
    for (const Dim& dim : inner) index.push_back(Var(dim.name));
    return index;
  };
  Workload workload;
  auto argument = [&](const std::string& name, const Operand& operand, const Dim& outer,
                      const Dim& inner) {
    std::vector<Expr> shape;
    for (const Dim& dim : batch) shape.push_back(dim.extent);
    shape.insert(shape.end(), {outer.extent, inner.extent});
    const BufferRole role = operand.constant ? BufferRole::kConstant : BufferRole::kInput;
    workload.buffers.push_back(Buffer{.name = name,
                                      .dtype = DType::kF32,
                                      .shape = std::move(shape),
                                      .scope = Scope::kArgument,
                                      .role = role});
  };
  const Dim& row = rows.back();
  const Dim& column = dims.back();
  argument("q", attention.q, row, depth);
  if (attention.transpose_k) {
    argument("k", attention.k, column, depth);
  } else {
    argument("k", attention.k, depth, column);
  }
  argument("v", attention.v, column, feature);
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < attention.score.operands.size(); ++j) {
    values[absl::StrCat("v", j)] = frame.AddOperand(attention.score.operands[j], workload);
  }
  std::vector<Dim> out = rows;
  out.push_back(feature);
  workload.buffers.push_back(Buffer{
      .name = "y", .dtype = DType::kF32, .scope = Scope::kArgument, .role = BufferRole::kOutput});
  for (const Dim& dim : out) workload.buffers.back().shape.push_back(dim.extent);

  const DType f32 = DType::kF32;
  const std::vector<Expr> k_at =
      attention.transpose_k ? at(batch, {column, depth}) : at(batch, {depth, column});
  workload.stages.push_back({"s",
                             f32,
                             dims,
                             Combiner::kSum,
                             {depth},
                             Load("q", f32, at(batch, {row, depth})) * Load("k", f32, k_at)});
  values["x"] = Load("s", f32, at(dims, {}));
  workload.stages.push_back(Elementwise(
      "p", dims, attention.score.value ? Substitute(attention.score.value, values) : values["x"]));
  const auto over_keys = [&](const Expr& body) {
    return Substitute(body, {{column.name, Var(key.name)}});
  };
  const SoftmaxFactors factors = AddSoftmaxStages(
      Load("p", f32, at(dims, {})),
      [&](absl::string_view name, Combiner combiner, bool per_row, const Expr& body) {
        const bool reduces = combiner != Combiner::kNone;
        const std::vector<Dim>& own = per_row ? rows : dims;
        workload.stages.push_back({std::string(name), f32, own, combiner,
                                   reduces ? std::vector<Dim>{key} : std::vector<Dim>{},
                                   reduces ? over_keys(body) : body});
        return Load(std::string(name), f32, at(own, {}));
      });
  // Divided last: there are fewer features than keys.
  workload.stages.push_back({"c",
                             f32,
                             out,
                             Combiner::kSum,
                             {key},
                             over_keys(factors.e) * Load("v", f32, at(batch, {key, feature}))});
  workload.stages.push_back(Elementwise("y", out, Load("c", f32, at(out, {})) * factors.inverse));
  return workload;
}

}  // namespace hone
