// Candidates for tests of what sketches derive: layouts as tests write them, random assignments.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/workload.h"
#include "tuner/space/sketch.h"

namespace hone {

// One layout a buffer; "" is the identity.
inline std::vector<Layout> LayoutsOf(const Workload& workload,
                                     const std::vector<const char*>& texts) {
  std::vector<Layout> layouts;
  for (size_t b = 0; b < workload.buffers.size(); ++b) {
    const int rank = static_cast<int>(workload.buffers[b].shape.size());
    const std::string text = texts.at(b);
    layouts.push_back(text.empty() ? Layout::Identity(rank) : *Layout::Parse(text));
  }
  return layouts;
}

// A value for every hole, or nothing where the sketch forbids these together.
inline std::optional<Assignment> DrawAssignment(const Sketch& sketch, std::mt19937_64& random) {
  Assignment assignment;
  for (const Hole& hole : sketch.holes()) {
    assignment.push_back(static_cast<int>(random() % hole.values.size()));
  }
  if (!sketch.Satisfies(assignment)) return std::nullopt;
  return assignment;
}

}  // namespace hone
