#include "tuner/space/rule.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

Layout LayoutOf(const LoopNest& nest, absl::string_view tensor) {
  auto it = nest.layouts.find(std::string(tensor));
  if (it != nest.layouts.end()) return it->second;
  return Layout::Identity(static_cast<int>(nest.ShapeOf(tensor).size()));
}

OutputOrder OrderOf(const LoopNest& nest, const StageNest& stage) {
  OutputOrder order;
  const std::vector<Dim>& dims = stage.stage.dims;
  const Layout layout = LayoutOf(nest, stage.stage.name);
  for (const LayoutDim& part : layout.dims) {
    const std::string& name = dims[part.dim].name;
    if (std::find(order.dims.begin(), order.dims.end(), name) == order.dims.end()) {
      order.dims.push_back(name);
    }
  }
  // The innermost memory dimension that has more than one element.
  for (auto part = layout.dims.rbegin(); part != layout.dims.rend(); ++part) {
    if (ExtentValue(dims[part->dim].extent, nest.params) <= 1 && order.vector_dim.empty() &&
        std::next(part) != layout.dims.rend()) {
      continue;
    }
    order.vector_dim = dims[part->dim].name;
    order.vector_block = part->modulus;
    break;
  }
  return order;
}

namespace {

// How much an index changes from one lane to the next, where vectors begin at multiples of their
// length: then no vector reaches across a multiple of `lanes`. Nothing when that is no constant.
std::optional<int64_t> StepOf(const Expr& index, absl::string_view dim, int64_t lanes) {
  if (index.kind() != ExprKind::kBinary || !index.arg(1).IsInt()) {
    if (index.kind() != ExprKind::kBinary || index->binary != BinaryOp::kAdd) {
      return CoefficientOf(index, dim);
    }
    const std::optional<int64_t> left = StepOf(index.arg(0), dim, lanes);
    const std::optional<int64_t> right = StepOf(index.arg(1), dim, lanes);
    return left && right ? std::optional<int64_t>(*left + *right) : std::nullopt;
  }
  const int64_t by = index.arg(1)->int_value;
  const bool is_whole = index.arg(0).IsVar(dim) && by % lanes == 0;
  if (index->binary == BinaryOp::kFloorDiv && is_whole) return 0;
  if (index->binary == BinaryOp::kFloorMod && is_whole) return 1;
  if (index->binary == BinaryOp::kMul) {
    const std::optional<int64_t> step = StepOf(index.arg(0), dim, lanes);
    return step ? std::optional<int64_t>(*step * by) : std::nullopt;
  }
  return CoefficientOf(index, dim);
}

}  // namespace

VectorRead VectorReadOf(const LoopNest& nest, const Access& access, absl::string_view dim,
                        int64_t lanes) {
  if (!access.Uses(dim)) return VectorRead::kBroadcast;
  const Layout layout = LayoutOf(nest, access.tensor);
  const std::vector<Expr> shape = nest.ShapeOf(access.tensor);
  for (auto part = layout.dims.rbegin(); part != layout.dims.rend(); ++part) {
    if (ExtentValue(shape[part->dim], nest.params) <= 1) continue;
    for (size_t d = 0; d < access.indices.size(); ++d) {
      if (static_cast<int>(d) != part->dim && UsesVar(access.indices[d], dim)) {
        return VectorRead::kGather;
      }
    }
    const std::optional<int64_t> step = StepOf(access.indices[part->dim], dim, lanes);
    const bool whole = part->modulus == 0 || part->modulus % lanes == 0;
    // Every divisor-th element of a dim that lies in phases is the next one of its phase.
    const bool contiguous = step == part->divisor && whole;
    return contiguous ? VectorRead::kContiguous : VectorRead::kGather;
  }
  return VectorRead::kBroadcast;
}

int64_t DimExtent(const LoopNest& nest, const StageNest& stage, absl::string_view dim) {
  for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
    for (const Dim& d : *dims) {
      if (d.name == dim) return ExtentValue(d.extent, nest.params);
    }
  }
  HONE_CHECK(false) << "stage " << stage.stage.name << " has no dim " << std::string(dim);
  return 1;
}

bool IsConstant(const RuleInput& input, absl::string_view tensor) {
  const Buffer* buffer = input.nest.FindBuffer(tensor);
  if (buffer != nullptr) return buffer->role == BufferRole::kConstant;
  for (const StageNest* producer : input.producers) {
    if (producer->stage.name == tensor) return producer->placement == Placement::kPrepare;
  }
  return false;
}

std::map<std::string, std::string> AnchorDims(const RuleInput& input) {
  std::map<std::string, std::string> dims;
  const Stage& anchor = input.anchor->stage;
  for (const Access& access : AccessesOf(input.output->stage.body)) {
    if (access.tensor != anchor.name) continue;
    for (size_t d = 0; d < access.indices.size(); ++d) {
      dims[access.indices[d]->name] = anchor.dims[d].name;
    }
  }
  return dims;
}

}  // namespace hone
