#include "compiler/operators/frame.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/ir/tensor.h"

namespace hone {
namespace {

// Extent of the operand along an output dimension: 1 where it lacks the dimension.
int64_t OperandExtent(const Operand& operand, int rank, int dim) {
  const int own = dim - (rank - static_cast<int>(operand.shape.size()));
  return own < 0 ? 1 : operand.shape[own];
}

// A buffer name that is not taken: base, base2, base3, ...
std::string FreeName(absl::string_view base, const Workload& workload) {
  std::string name(base);
  for (int i = 2; workload.FindBuffer(name) != nullptr; ++i) name = absl::StrCat(base, i);
  return name;
}

}  // namespace

Expr EpilogueValue(DType dtype) { return Var("x", {dtype, 1}); }
Expr EpilogueOperand(int index, DType dtype) { return Var(absl::StrCat("v", index), {dtype, 1}); }

Buffer ArgumentBuffer(absl::string_view name, DType dtype, BufferRole role,
                      const std::vector<int64_t>& shape) {
  return Buffer{.name = std::string(name),
                .dtype = dtype,
                .shape = IntExprs(shape),
                .scope = Scope::kArgument,
                .role = role};
}

std::vector<Expr> IntExprs(const std::vector<int64_t>& values) {
  std::vector<Expr> exprs;
  for (int64_t value : values) exprs.push_back(Int(value));
  return exprs;
}

Frame::Frame(std::vector<int64_t> shape, std::vector<DimGroup> groups)
    : shape_(std::move(shape)), groups_(std::move(groups)) {}

Frame Frame::Plain(const std::vector<int64_t>& shape, const std::vector<std::string>& names) {
  HONE_CHECK(shape.size() == names.size());
  std::vector<DimGroup> groups;
  for (size_t d = 0; d < names.size(); ++d) {
    groups.push_back({.name = names[d], .first = static_cast<int>(d)});
  }
  return Frame(shape, std::move(groups));
}

Frame Frame::Collapsed(const std::vector<int64_t>& shape, const std::vector<Operand>& operands) {
  const int rank = static_cast<int>(shape.size());
  if (rank == 4) {
    Frame flat(shape, {{"n", 0, 1}, {"c", 1, 1}, {"m", 2, 2}});
    return flat.Fits(operands) ? flat : Plain(shape, {"n", "c", "h", "w"});
  }
  std::vector<DimGroup> groups;
  int last = -1;  // the last dimension of the last group that is not of extent 1
  for (int d = 0; d < rank; ++d) {
    if (shape[d] == 1) {
      if (!groups.empty()) ++groups.back().count;
      continue;
    }
    bool same = last >= 0;
    for (const Operand& operand : operands) {
      same = same &&
             (OperandExtent(operand, rank, d) == 1) == (OperandExtent(operand, rank, last) == 1);
    }
    last = d;
    if (same) {
      ++groups.back().count;
    } else {
      groups.push_back({.first = d});
    }
  }
  if (groups.empty()) groups.push_back({.first = 0, .count = rank});
  static constexpr const char* kNames[3][3] = {{"m"}, {"m", "n"}, {"b", "m", "n"}};
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].name =
        groups.size() <= 3 ? std::string(kNames[groups.size() - 1][g]) : absl::StrCat("d", g);
  }
  return Frame(shape, std::move(groups));
}

int64_t Frame::Extent(const DimGroup& group) const {
  int64_t extent = 1;
  for (int d = group.first; d < group.first + group.count; ++d) extent *= shape_[d];
  return extent;
}

bool Frame::Fits(const std::vector<Operand>& operands) const {
  const int rank = static_cast<int>(shape_.size());
  for (const Operand& operand : operands) {
    for (const DimGroup& group : groups_) {
      bool has = false;
      bool lacks = false;
      for (int d = group.first; d < group.first + group.count; ++d) {
        if (shape_[d] == 1) continue;
        (OperandExtent(operand, rank, d) == 1 ? lacks : has) = true;
      }
      if (has && lacks) return false;
    }
  }
  return true;
}

std::vector<Dim> Frame::Dims() const {
  std::vector<Dim> dims;
  for (const DimGroup& group : groups_) dims.push_back({group.name, Int(Extent(group))});
  return dims;
}

std::vector<Expr> Frame::Vars() const {
  std::vector<Expr> vars;
  for (const DimGroup& group : groups_) vars.push_back(Var(group.name));
  return vars;
}

std::vector<Expr> Frame::Shape() const {
  std::vector<Expr> shape;
  for (const DimGroup& group : groups_) shape.push_back(Int(Extent(group)));
  return shape;
}

Expr Frame::AddOperand(const Operand& operand, Workload& workload,
                       absl::string_view full_name) const {
  HONE_CHECK(Fits({operand})) << "operand " << ShapeText(operand.shape) << " of "
                              << ShapeText(shape_) << " is not told apart by the frame";
  const int rank = static_cast<int>(shape_.size());
  const bool full = !operand.constant && ElementCount(operand.shape) == ElementCount(shape_);
  std::vector<int64_t> shape;
  std::vector<Expr> index;
  for (const DimGroup& group : groups_) {
    bool has = full;
    for (int d = group.first; d < group.first + group.count; ++d) {
      has = has || OperandExtent(operand, rank, d) > 1;
    }
    if (!has) continue;
    shape.push_back(Extent(group));
    index.push_back(Var(group.name));
  }
  if (shape.empty()) {
    shape = {1};
    index = {Int(0)};
  }
  const std::string name = FreeName(full ? full_name : "b", workload);
  workload.buffers.push_back(ArgumentBuffer(
      name, operand.dtype, operand.constant ? BufferRole::kConstant : BufferRole::kInput, shape));
  return Load(name, operand.dtype, std::move(index));
}

DType SumType(DType left, DType right) {
  if (left == DType::kF64 || right == DType::kF64) return DType::kF64;
  return IsFloat(left) || IsFloat(right) ? DType::kF32 : DType::kI32;
}

Expr ProductOf(const Expr& left, const Expr& right) {
  const DType sum = SumType(left.type().dtype, right.type().dtype);
  return Cast(left, sum) * Cast(right, sum);
}

void Finish(const Core& core, const Frame& frame, const Epilogue& epilogue, Workload& workload) {
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < epilogue.operands.size(); ++j) {
    values[absl::StrCat("v", j)] = frame.AddOperand(epilogue.operands[j], workload);
  }
  const bool in_two = epilogue.value && core.combiner != Combiner::kNone;
  if (in_two) {
    workload.stages.push_back(
        {"c", core.dtype, frame.Dims(), core.combiner, core.reduce, core.body});
    values["x"] = Load("c", core.dtype, frame.Vars());
  } else {
    values["x"] = core.body;
  }
  const Expr body = epilogue.value ? Substitute(epilogue.value, values) : core.body;
  Buffer y{.name = "y",
           .dtype = body.type().dtype,
           .shape = frame.Shape(),
           .scope = Scope::kArgument,
           .role = BufferRole::kOutput};
  workload.buffers.push_back(std::move(y));
  Stage stage{.name = "y", .dtype = body.type().dtype, .dims = frame.Dims(), .body = body};
  if (!in_two) {
    stage.combiner = core.combiner;
    stage.reduce = core.reduce;
  }
  workload.stages.push_back(std::move(stage));
}

}  // namespace hone
