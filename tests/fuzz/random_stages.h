// Random workloads that no operator makes: contractions over any dimensions and element types, and
// short chains of stages that read each other through any index maps. Part of RandomWorkload.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "compiler/ir/workload.h"

namespace hone {

// Draws of simple things.
class Draw {
 public:
  explicit Draw(std::mt19937_64& random) : random_(random) {}

  std::mt19937_64& random() { return random_; }
  int Below(int64_t end) { return static_cast<int>(random_() % static_cast<uint64_t>(end)); }
  bool Chance(int one_in) { return Below(one_in) == 0; }
  template <typename T>
  T Pick(const std::vector<T>& from) {
    return from[random_() % from.size()];
  }
  // From 1 to `max`: primes, whole vectors and their neighbours rather than others.
  int64_t Extent(int64_t max);
  DType ElementType();

 private:
  std::mt19937_64& random_;
};

// One sum, product or extreme of what two tensors give, with batches, windows and padding; both of
// real or of integer types, some narrow, often with an epilogue that narrows again.
Workload RandomContraction(Draw& draw);

// Two to five stages; each reads buffers and earlier stages, reduces or not.
Workload RandomStages(Draw& draw);

}  // namespace hone
