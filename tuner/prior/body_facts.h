// BodyFacts: what a stage's body says by itself, whatever the loops around it: what one point of it
// costs and which tensors it reads. NestAnalyzer finds them once a body, as candidates of one
// sketch share their bodies; nothing here knows schedules or machines.
#pragma once

#include <string>
#include <vector>

#include "tuner/space/access.h"

namespace hone {

// What points of a body cost. A value that stands in it more than once is computed once.
struct PointCost {
  double operations = 0;  // of floating point; a multiply-add is one
  double loads = 0;
};

// Loads of one tensor that differ by constants alone: x[2*t], x[2*t+1], x[2*t+2] are three loads
// with a spread of 2, at 3 places.
struct LoadGroup {
  Access access;
  double loads = 1;
  std::vector<double> spread;    // by index
  std::vector<double> places;    // by index; different constants
  std::vector<IndexSpan> spans;  // by index
  std::vector<bool> uses;        // by dim of the stage, then by those it reduces

  // Takes the loads to be of this one element.
  LoadGroup(Access one, const Stage& stage);
  // Index `d` stands still, and is always inside.
  void Fix(size_t d, const Stage& stage);
};

struct BodyFacts {
  Stage stage;  // as it was
  // Of one point. Where indices alone choose between arms, unrolling leaves one of them: the
  // dearest counts.
  PointCost cost;
  // Small dims of the stage that choose between arms, and what the points of all their values cost
  // where they are computed together: they share what arms have in common.
  std::vector<std::string> choosing;
  double choices = 1;  // how many points these are
  PointCost together;
  std::vector<LoadGroup> loads;
  LoadGroup result;  // what the stage writes, point by point

  explicit BodyFacts(const Stage& of);
  // Whether they are those of this stage, too.
  bool AreOf(const Stage& other) const;

 private:
  void FindChoices();
};

}  // namespace hone
