#include "compiler/operators/row_chain.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// The operand's extent is 1 along an output dimension, or it lacks it.
bool Lacks(const Operand& operand, int rank, int dim) {
  const int own = dim - (rank - static_cast<int>(operand.shape.size()));
  return own < 0 || operand.shape[own] == 1;
}

// Dimensions [begin, end) in groups that no operand's broadcasting cuts; at least one.
std::vector<DimGroup> GroupsOf(const RowChain& chain, int begin, int end) {
  const int rank = static_cast<int>(chain.shape.size());
  std::vector<DimGroup> groups;
  int last = -1;  // of the dimensions so far, the last that is not of extent 1
  for (int d = begin; d < end; ++d) {
    const bool starts =
        chain.shape[d] > 1 && last >= 0 &&
        std::any_of(chain.operands.begin(), chain.operands.end(), [&](const Operand& operand) {
          return Lacks(operand, rank, d) != Lacks(operand, rank, last);
        });
    if (groups.empty() || starts) {
      groups.push_back({.first = d});
    } else {
      ++groups.back().count;
    }
    if (chain.shape[d] > 1) last = d;
  }
  if (groups.empty()) groups.push_back({.first = begin, .count = 0});
  return groups;
}

void Name(std::vector<DimGroup>& groups, absl::string_view one, absl::string_view many) {
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].name = groups.size() == 1 ? std::string(one) : absl::StrCat(many, g);
  }
}

}  // namespace

Expr RowStageValue(int index) { return Var(absl::StrCat("s", index), {DType::kF32, 1}); }

Workload RowChainWorkload(const RowChain& chain) {
  std::vector<DimGroup> groups = GroupsOf(chain, 0, chain.first);
  Name(groups, "m", "d");
  const size_t row_count = groups.size();
  std::vector<DimGroup> columns =
      GroupsOf(chain, chain.first, static_cast<int>(chain.shape.size()));
  Name(columns, "n", "n");
  groups.insert(groups.end(), columns.begin(), columns.end());
  const Frame frame(chain.shape, groups);
  const std::vector<Dim> all = frame.Dims();
  const std::vector<Dim> rows(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(row_count));
  // A reduction goes over the columns by other names: k, or k0, k1, ...
  std::vector<Dim> reduced(all.begin() + static_cast<std::ptrdiff_t>(row_count), all.end());
  std::map<std::string, Expr> reduced_names;
  for (Dim& dim : reduced) {
    const std::string name = absl::StrCat("k", dim.name.substr(1));
    reduced_names[dim.name] = Var(name);
    dim.name = name;
  }

  Workload workload;
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < chain.operands.size(); ++j) {
    values[absl::StrCat("v", j)] = frame.AddOperand(chain.operands[j], workload, "x");
  }
  const RowStage& last = chain.stages.back();
  std::vector<Expr> vars = frame.Vars();
  std::vector<Expr> y_shape = frame.Shape();
  if (last.per_row) y_shape.resize(row_count);
  workload.buffers.push_back(Buffer{.name = "y",
                                    .dtype = DType::kF32,
                                    .shape = std::move(y_shape),
                                    .scope = Scope::kArgument,
                                    .role = BufferRole::kOutput});
  for (size_t i = 0; i < chain.stages.size(); ++i) {
    const RowStage& stage = chain.stages[i];
    const std::string name = i + 1 == chain.stages.size() ? "y" : absl::StrCat("s", i);
    Expr body = Substitute(stage.body, values);
    const bool reduces = stage.combiner != Combiner::kNone;
    if (reduces) body = Substitute(body, reduced_names);
    workload.stages.push_back({name, DType::kF32, stage.per_row ? rows : all, stage.combiner,
                               reduces ? reduced : std::vector<Dim>{}, std::move(body)});
    std::vector<Expr> at = vars;
    if (stage.per_row) at.resize(row_count);
    values[absl::StrCat("s", i)] = Load(name, DType::kF32, std::move(at));
  }
  return workload;
}

}  // namespace hone
