#include "cli/kernel_caption.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "compiler/ir/expr_text.h"

namespace hone {
namespace {

constexpr size_t kShapesMax = 4;

std::string ShapeText(const Buffer& buffer) {
  if (buffer.shape.empty()) return "scalar";
  return absl::StrJoin(buffer.shape, "x", [](std::string* out, const Expr& extent) {
    absl::StrAppend(out, extent.IsInt() ? absl::StrCat(extent->int_value) : ToString(extent));
  });
}

std::string ShapeList(const std::vector<std::string>& shapes) {
  if (shapes.size() <= kShapesMax) return absl::StrJoin(shapes, " * ");
  return absl::StrCat(absl::StrJoin(shapes.begin(), shapes.begin() + kShapesMax, " * "), " ..(+",
                      shapes.size() - kShapesMax, ")");
}

}  // namespace

std::string KernelCaption(const Workload& workload) {
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  for (const Buffer& buffer : workload.buffers) {
    (buffer.role == BufferRole::kOutput ? outputs : inputs).push_back(ShapeText(buffer));
  }
  return absl::StrCat(ShapeList(inputs), " -> ", ShapeList(outputs));
}

std::string KernelCaption(absl::string_view workload_text) {
  StatusOr<Workload> workload = Workload::Parse(workload_text);
  if (!workload.ok()) return absl::StrCat("workload ", Digest(workload_text).substr(0, 12));
  return KernelCaption(*workload);
}

}  // namespace hone
