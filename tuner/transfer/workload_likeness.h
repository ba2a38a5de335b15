// WorkloadLikeness: which workloads are alike, and how much: the same index maps with other
// extents. What is fast for one is a good guess for the other. Pure; used by recorded_knowledge to
// choose whose schedules are tried first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

// A workload's text form, parted.
struct WorkloadOutline {
  std::string structure;        // the text with every extent replaced by '#'
  std::vector<double> extents;  // of buffers and stages, in order
  // The same of the stages that reduce alone, without what comes before and after them.
  std::string core;
  std::vector<double> core_extents;
};

WorkloadOutline OutlineOf(absl::string_view workload_text);

// Sum of |log2| of the ratios of the extents; 0 for the same workload. Where only the cores agree
// (another epilogue), that of the cores and kOtherEpilogue on top. None where they are not alike.
inline constexpr double kOtherEpilogue = 1;
std::optional<double> DistanceBetween(const WorkloadOutline& a, const WorkloadOutline& b);

// Whether they differ in what stands before and after their reductions alone.
bool DifferInEpilogue(const WorkloadOutline& a, const WorkloadOutline& b);

}  // namespace hone
