#include "tracker/workload_caption.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr size_t kShapesMax = 4;
constexpr size_t kShapeLengthMax = 64;

// "input x f32 [1,64,56,56]" -> "1x64x56x56"
std::string ShapeOf(absl::string_view line) {
  const size_t begin = line.rfind('[');
  const size_t end = line.rfind(']');
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin) return "?";
  const absl::string_view extents = line.substr(begin + 1, end - begin - 1);
  if (extents.empty()) return "scalar";
  return absl::StrReplaceAll(extents.substr(0, kShapeLengthMax), {{",", "x"}});
}

std::string ListOf(const std::vector<std::string>& shapes) {
  if (shapes.size() <= kShapesMax) return absl::StrJoin(shapes, " * ");
  return absl::StrCat(absl::StrJoin(shapes.begin(), shapes.begin() + kShapesMax, " * "), " ..(+",
                      shapes.size() - kShapesMax, ")");
}

}  // namespace

std::string WorkloadCaption(absl::string_view workload_text) {
  std::vector<std::string> inputs, outputs;
  for (absl::string_view line : absl::StrSplit(workload_text, '\n')) {
    if (absl::StartsWith(line, "stage ")) break;
    if (absl::StartsWith(line, "input ") || absl::StartsWith(line, "constant ")) {
      inputs.push_back(ShapeOf(line));
    }
    if (absl::StartsWith(line, "output ")) outputs.push_back(ShapeOf(line));
  }
  if (inputs.empty() && outputs.empty()) return "";
  return absl::StrCat(ListOf(inputs), " -> ", ListOf(outputs));
}

}  // namespace hone
