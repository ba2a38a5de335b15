// SketchWriter: how rules write sketches: holes, requirements and schedule lines in any order, put
// together at the end. Used by the rules of this folder only.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tuner/space/sketch.h"

namespace hone {

class SketchWriter {
 public:
  // `first_lines`: what every sketch of the workload begins with (layouts, inlined stages).
  SketchWriter(absl::string_view name, absl::string_view first_lines);

  // A writer that goes on from what this one has; names add up: "winograd", "winograd_rows".
  SketchWriter Continue(absl::string_view name) const;

  // Declares a hole and returns how the schedule refers to it: "?nr". A hole with one value is that
  // value.
  std::string Hole(absl::string_view name, const std::vector<int64_t>& values);
  std::string TextHole(absl::string_view name, const std::vector<std::string>& values);
  void Require(absl::string_view requirement);

  // One schedule line, from its parts.
  template <typename... Parts>
  void Line(const Parts&... parts) {
    absl::StrAppend(&lines_, parts..., "\n");
  }

  // The same for a line that stands after all that is still to be written.
  template <typename... Parts>
  void LastLine(const Parts&... parts) {
    absl::StrAppend(&last_lines_, parts..., "\n");
  }

  // Fuses the loops, which follow each other at the outside of the stage, and makes the result
  // parallel. Returns its name.
  std::string FuseParallel(absl::string_view stage, const std::vector<std::string>& loops);
  std::string Fuse(absl::string_view stage, const std::vector<std::string>& loops);

  Sketch Finish() const;

 private:
  std::string name_;
  std::string holes_;
  std::string requirements_;
  std::string lines_;
  std::string last_lines_;
};

// The values of `candidates` that cut `extent` into different numbers of tiles, ascending; of those
// that cut alike, the smallest. Never empty.
std::vector<int64_t> DistinctTiles(int64_t extent, const std::vector<int64_t>& candidates);

}  // namespace hone
