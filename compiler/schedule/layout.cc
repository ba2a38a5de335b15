// layout BUFFER LAYOUT: where the elements of a boundary buffer or of a stage's tensor lie.
//
//   layout y 0,1/8,2,3,1%8
//   y[n,o,h,w] in memory   ->   y[n, o/8, h, w, o%8] in memory
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const LayoutStep& step) {
  return absl::StrCat("layout ", step.buffer, " ", step.layout.ToString());
}

StatusOr<Step> ParseLayout(TextReader& reader) {
  LayoutStep step;
  HONE_ASSIGN_OR_RETURN(step.buffer, reader.Word("a buffer or stage"));
  auto layout = Layout::Parse(reader.RestOfLine());
  if (!layout.ok()) return reader.Error(layout.status().message());
  step.layout = *layout;
  return step;
}

Status Apply(const LayoutStep& step, LoopNest& nest) {
  if (nest.FindBuffer(step.buffer) == nullptr && nest.FindStage(step.buffer) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no buffer or stage '", step.buffer, "'"));
  }
  const std::vector<Expr> shape = nest.ShapeOf(step.buffer);
  if (step.layout.Rank() != static_cast<int>(shape.size())) {
    return absl::InvalidArgumentError(absl::StrCat("'", step.buffer, "' has ", shape.size(),
                                                   " dimensions, the layout ", step.layout.Rank()));
  }
  // Every element needs a place of its own: each dimension's digits must be all there, once.
  for (int d = 0; d < step.layout.Rank(); ++d) {
    int64_t covered = 1;
    bool complete = false;
    for (bool found = true; found && !complete;) {
      found = false;
      for (const LayoutDim& part : step.layout.dims) {
        if (part.dim != d || part.divisor != covered) continue;
        found = true;
        if (part.modulus == 0) {
          complete = true;
        } else if (part.modulus > 1) {
          covered *= part.modulus;
        } else {
          found = false;
        }
        if (found) break;
      }
    }
    size_t parts = 0;
    size_t unbounded = 0;
    for (const LayoutDim& part : step.layout.dims) {
      parts += part.dim == d;
      unbounded += part.dim == d && part.modulus == 0;
    }
    if (!complete || unbounded != 1 || parts > 4) {
      return absl::InvalidArgumentError(absl::StrCat("the layout does not place dimension ", d,
                                                     " exactly once; NCHW8c is 0,1/8,2,3,1%8"));
    }
  }
  nest.layouts[step.buffer] = step.layout;
  return absl::OkStatus();
}

}  // namespace hone
