#include "compiler/operators/prologue.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/ir/tensor.h"

namespace hone {
namespace {

// The graph's dimensions and the workload's, made one: where the workload sees a dimension as
// several (channels as groups), the shapes below do too; where it sees several as one, a group says
// so.
struct CommonDims {
  std::vector<int64_t> shape;
  std::vector<Operand> operands;
  std::vector<DimGroup> groups;  // without names
};

std::vector<int64_t> ExtentsOf(const Buffer& buffer) {
  std::vector<int64_t> extents;
  for (const Expr& extent : buffer.shape) extents.push_back(extent->int_value);
  return extents;
}

// Dimension `dim` becomes two, the first of extent `outer`.
void SplitDim(size_t dim, int64_t outer, CommonDims& dims) {
  const auto rank = static_cast<std::ptrdiff_t>(dims.shape.size());
  const auto split = [&](std::vector<int64_t>& shape) {
    const std::ptrdiff_t at =
        static_cast<std::ptrdiff_t>(dim) - (rank - static_cast<std::ptrdiff_t>(shape.size()));
    if (at < 0) return;
    const bool broadcast = shape[at] == 1;
    if (!broadcast) shape[at] /= outer;
    shape.insert(shape.begin() + at, broadcast ? 1 : outer);
  };
  for (Operand& operand : dims.operands) split(operand.shape);
  split(dims.shape);
}

// Nothing where the buffer's dimensions are not the graph's split or joined.
std::optional<CommonDims> Match(const Prologue& prologue, const std::vector<int64_t>& buffer) {
  CommonDims dims{.shape = prologue.stored.shape, .operands = prologue.operands};
  size_t next = 0;
  for (const int64_t extent : buffer) {
    DimGroup group{.first = static_cast<int>(next), .count = 0};
    int64_t points = 1;
    while (next < dims.shape.size() && (group.count == 0 || points < extent)) {
      const int64_t rest = extent / points;
      if (dims.shape[next] > rest) {
        if (extent % points != 0 || dims.shape[next] % rest != 0) return std::nullopt;
        SplitDim(next, rest, dims);
      }
      points *= dims.shape[next++];
      ++group.count;
    }
    if (points != extent) return std::nullopt;
    dims.groups.push_back(group);
  }
  for (; next < dims.shape.size(); ++next) {
    if (dims.shape[next] != 1 || dims.groups.empty()) return std::nullopt;
    ++dims.groups.back().count;
  }
  return dims;
}

// The variable that comes first in an index; "" for none.
std::string FirstVariable(const Expr& index) {
  std::string name;
  Visit(index, [&](const Expr& e) {
    if (e.kind() == ExprKind::kVar && name.empty()) name = e->name;
  });
  return name;
}

// Dims are called what the reader calls them, h where it reads h+p: layouts are given by such
// names.
std::vector<std::string> DimNames(const Workload& workload, const Buffer& buffer) {
  std::vector<std::string> names(buffer.shape.size());
  for (const Stage& stage : workload.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || e->name != buffer.name) return;
      for (size_t d = 0; d < names.size(); ++d) {
        const std::string name = FirstVariable(e.arg(static_cast<int>(d)));
        const bool taken = std::find(names.begin(), names.end(), name) != names.end();
        if (names[d].empty() && !taken) names[d] = name;
      }
    });
  }
  for (size_t d = 0; d < names.size(); ++d) {
    if (names[d].empty()) names[d] = absl::StrCat("d", d);
  }
  return names;
}

std::string FreeStageName(const Workload& workload) {
  std::string name = "t";
  for (int i = 2; workload.FindStage(name) != nullptr; ++i) name = absl::StrCat("t", i);
  return name;
}

}  // namespace

bool CanPrepend(const Prologue& prologue, const Workload& workload, size_t buffer) {
  const std::optional<CommonDims> dims = Match(prologue, ExtentsOf(workload.buffers[buffer]));
  return dims && Frame(dims->shape, dims->groups).Fits(dims->operands);
}

void Prepend(const Prologue& prologue, size_t buffer, Workload& workload) {
  const std::string name = workload.buffers[buffer].name;
  std::optional<CommonDims> dims = Match(prologue, ExtentsOf(workload.buffers[buffer]));
  HONE_CHECK(dims) << "a prologue of " << name << " that does not fit " << workload.ToString();
  const std::vector<std::string> names = DimNames(workload, workload.buffers[buffer]);
  for (size_t d = 0; d < names.size(); ++d) dims->groups[d].name = names[d];
  const Frame frame(dims->shape, dims->groups);

  workload.buffers[buffer].dtype = prologue.stored.dtype;
  Buffer output = std::move(workload.buffers.back());
  HONE_CHECK(output.role == BufferRole::kOutput) << "the output is the last buffer";
  workload.buffers.pop_back();
  std::map<std::string, Expr> values;
  values["x"] = Load(name, prologue.stored.dtype, frame.Vars());
  for (size_t j = 0; j < dims->operands.size(); ++j) {
    values[absl::StrCat("v", j)] = frame.AddOperand(dims->operands[j], workload);
  }
  workload.buffers.push_back(std::move(output));

  const DType dtype = prologue.value.type().dtype;
  const std::string computed = FreeStageName(workload);
  for (Stage& stage : workload.stages) {
    stage.body = Rewrite(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || e->name != name) return Expr();
      return Load(computed, dtype, Indices(e), e->has_otherwise ? Otherwise(e) : Expr());
    });
  }
  workload.stages.insert(workload.stages.begin(), {.name = computed,
                                                   .dtype = dtype,
                                                   .dims = frame.Dims(),
                                                   .body = Substitute(prologue.value, values)});
}

}  // namespace hone
