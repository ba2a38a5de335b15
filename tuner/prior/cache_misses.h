// CacheMisses: what crosses from each level of the memory to the next for every tensor of a stage,
// by reuse distances: how much is touched before a byte is read again. The facts of a nest are
// built with it; it turns nothing into time.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/target.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/nest_bounds.h"
#include "tuner/prior/nest_facts.h"

namespace hone {

class CacheMisses {
 public:
  // Both must outlive it.
  CacheMisses(const NestBounds& bounds, const Target& target)
      : bounds_(bounds), nest_(bounds.nest()), target_(target) {}

  // Adds the stage's tensors to `facts`, whose lanes are known. Tensors that stay in registers are
  // left out. `path`: of the stage.
  void Describe(const StageNest& stage, const LoopPath& path, StageFacts* facts);

  // Once all stages are described, in the order of the nest: stages in one loop's body read a
  // tensor one after the other. Where all that they touch in one iteration fits a cache, only the
  // first of them brings it there.
  void ShareWhatIsNear(NestFacts* facts) const;

 private:
  // A loop in which several stages are computed: its stage and its name.
  using Loop = std::pair<std::string, std::string>;

  // What one iteration of a loop touches of a tensor.
  struct Touch {
    std::string stage;
    std::string tensor;
    double bytes = 0;
  };

  // The loops that the stage takes part in, with how deep on its path their bodies begin.
  std::vector<std::pair<Loop, size_t>> MeetingLoops(const StageNest& stage,
                                                    const LoopPath& path) const;

  const NestBounds& bounds_;
  const LoopNest& nest_;
  const Target& target_;
  std::map<Loop, std::vector<Touch>> together_;  // in the order of the stages
};

}  // namespace hone
