// SchedulePattern: a schedule's text parted into its structure and its numbers. Schedules of one
// sketch share the structure, also where they are of workloads of other extents; how far apart
// their numbers are says how much alike they are. Used by the search to carry a good schedule over
// to the workload it searches. Never looks at a workload: it knows texts, not what is legal.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

struct SchedulePattern {
  std::string structure;  // every number replaced by '#'
  std::vector<double> numbers;
};

// Numbers are the words of digits alone: 16 and 8 in "tile y o 16 by 8", none in "unroll c.0 d1".
SchedulePattern PatternOf(absl::string_view schedule_text);

// A schedule's text from its first step on that is not about the layouts at the kernel's boundary.
// Where only the epilogue differs, the rest is a schedule of the other workload as well.
absl::string_view StepsInside(absl::string_view schedule_text);

// Sum of |log2| of the ratios of the numbers; infinity where the structures differ.
double PatternDistance(const SchedulePattern& a, const SchedulePattern& b);

}  // namespace hone
