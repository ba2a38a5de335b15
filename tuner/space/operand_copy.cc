#include "tuner/space/operand_copy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

void WriteBorderCopy(const RuleInput& input, const Access& access, const StageNest& stage,
                     bool parallel, SketchWriter& writer, int64_t stride) {
  const std::string copy = absl::StrCat(access.tensor, "@", stage.stage.name);
  const Layout layout = LayoutOf(input.nest, access.tensor);
  Layout copied = layout;
  if (stride > 1) {
    const int dim = layout.dims.back().dim;
    copied.dims.back() = {.dim = dim, .modulus = stride};
    copied.dims.push_back({.dim = dim, .divisor = stride});
  }
  writer.Line("cache ", access.tensor, " ", stage.stage.name);
  if (!copied.IsIdentity()) writer.Line("layout ", copy, " ", copied.ToString());

  // A blocked dim (NCHW8c) is where vectors run: no lane of a block is border while another is not.
  const LayoutDim& last = layout.dims.back();
  const int64_t lanes = input.target.FloatLanes();
  const bool blocked = last.modulus > 0 && last.modulus % lanes == 0;
  std::vector<std::string> loops;
  for (const LayoutDim& part : layout.dims) {
    const std::string dim = absl::StrCat("d", part.dim);
    if (blocked && part.dim == last.dim) {
      loops.push_back(dim + (&part == &last ? ".1" : ".0"));
    } else {
      loops.push_back(dim);
    }
  }
  if (blocked) {
    const std::string dim = absl::StrCat("d", last.dim);
    writer.Line("tile ", copy, " ", dim, " ", last.modulus, " by ", lanes);
    writer.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
    writer.Line("vectorize ", copy, " ", loops.back());
  }
  if (parallel && loops.size() > 2) {
    writer.FuseParallel(copy, std::vector<std::string>(loops.begin(), loops.end() - 2));
  }
}

int64_t VectorStrideOf(const RuleInput& input, const Access& access, absl::string_view dim) {
  if (access.indices.empty()) return 1;
  const LayoutDim last = LayoutOf(input.nest, access.tensor).dims.back();
  if (last.divisor != 1 || last.modulus != 0) return 1;
  for (size_t d = 0; d < access.indices.size(); ++d) {
    if (static_cast<int>(d) != last.dim && UsesVar(access.indices[d], dim)) return 1;
  }
  return std::max<int64_t>(1, CoefficientOf(access.indices[last.dim], dim).value_or(1));
}

void WritePanelCopy(const RuleInput& input, const Access& access, const StageNest& stage,
                    const std::vector<PanelDim>& outer, const std::vector<PanelDim>& inner,
                    bool parallel, SketchWriter& writer) {
  const std::string copy = absl::StrCat(access.tensor, "@", stage.stage.name);
  std::vector<std::string> parts;
  std::vector<bool> named(access.indices.size(), false);
  for (const PanelDim& dim : outer) {
    const int index = access.PlainIndexOf(dim.dim);
    if (index >= 0) named[index] = true;
  }
  for (size_t d = 0; d < named.size(); ++d) {
    if (!named[d]) parts.push_back(absl::StrCat(d));
  }
  for (const PanelDim& dim : outer) {
    const int index = access.PlainIndexOf(dim.dim);
    if (index < 0) continue;
    parts.push_back(dim.block.empty() ? absl::StrCat(index) : absl::StrCat(index, "/", dim.block));
  }
  for (const PanelDim& dim : inner) {
    const int index = access.PlainIndexOf(dim.dim);
    if (index >= 0 && !dim.block.empty()) parts.push_back(absl::StrCat(index, "%", dim.block));
  }
  writer.Line("cache ", access.tensor, " ", stage.stage.name);
  writer.Line("layout ", copy, " ", absl::StrJoin(parts, ","));
  if (IsConstant(input, access.tensor)) {
    writer.Line("prepare ", copy);
    return;
  }
  const PanelDim& panel = inner.back();
  const int fastest = access.PlainIndexOf(panel.dim);
  if (fastest < 0 || panel.block.empty() || access.dtype != DType::kF32) return;
  // Gathered into vectors: reads are scattered anyway, so that at least stores are whole.
  const std::string dim = absl::StrCat("d", fastest);
  writer.Line("tile ", copy, " ", dim, " ", panel.block, " by ", input.target.FloatLanes());
  std::vector<std::string> loops;
  for (size_t d = 0; d < named.size(); ++d) {
    if (!named[d]) loops.push_back(absl::StrCat("d", d));
  }
  loops.push_back(dim + ".0");
  const std::vector<std::string> outside = loops;
  for (size_t d = 0; d < named.size(); ++d) {
    if (named[d] && static_cast<int>(d) != fastest) loops.push_back(absl::StrCat("d", d));
  }
  loops.push_back(dim + ".1");
  writer.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
  writer.Line("vectorize ", copy, " ", loops.back());
  if (parallel) writer.FuseParallel(copy, outside);
}

}  // namespace hone
