// Extents stand before the " = " of a stage and in the lines of buffers; the numbers of a body (the
// stride in h*2+p) are part of what is computed.
#include "tuner/transfer/workload_likeness.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tuner/search/schedule_pattern.h"

namespace hone {
namespace {

constexpr absl::string_view kBody = " = ";

double LogDistance(const std::vector<double>& a, const std::vector<double>& b) {
  double distance = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    distance += std::abs(std::log2(std::max(1.0, a[i]) / std::max(1.0, b[i])));
  }
  return distance;
}

}  // namespace

WorkloadOutline OutlineOf(absl::string_view workload_text) {
  WorkloadOutline outline;
  for (absl::string_view line : absl::StrSplit(workload_text, '\n', absl::SkipEmpty())) {
    const size_t body = line.find(kBody);
    const absl::string_view head = line.substr(0, body);
    SchedulePattern pattern = PatternOf(head);
    if (body != absl::string_view::npos) {
      pattern.structure.append(line.data() + body, line.size() - body);
    }
    outline.structure += pattern.structure + "\n";
    outline.extents.insert(outline.extents.end(), pattern.numbers.begin(), pattern.numbers.end());
    // "stage y f32 [..] sum [..] = ..": a second list of dims.
    const bool reduces =
        absl::StartsWith(head, "stage ") && std::count(head.begin(), head.end(), '[') > 1;
    if (!reduces) continue;
    outline.core += pattern.structure + "\n";
    outline.core_extents.insert(outline.core_extents.end(), pattern.numbers.begin(),
                                pattern.numbers.end());
  }
  return outline;
}

std::optional<double> DistanceBetween(const WorkloadOutline& a, const WorkloadOutline& b) {
  if (a.structure == b.structure) return LogDistance(a.extents, b.extents);
  if (a.core.empty() || a.core != b.core) return std::nullopt;
  return LogDistance(a.core_extents, b.core_extents) + kOtherEpilogue;
}

bool DifferInEpilogue(const WorkloadOutline& a, const WorkloadOutline& b) {
  return a.structure != b.structure && DistanceBetween(a, b) == kOtherEpilogue;
}

}  // namespace hone
