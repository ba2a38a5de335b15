// What the fuzz program tries: one round is a random workload on a random target and some dozen
// schedules for it, from random steps and from every derived sketch, each held against the oracle.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/fuzz/fuzz_case.h"

namespace hone {

struct RoundResult {
  int agreed = 0;
  int refused = 0;
  int wrong = 0;
};

// All of it follows from the seed. `before` is told of every kernel before it runs, `wrong` of
// every one that is wrong.
RoundResult RunRound(uint64_t seed, const std::function<void(const FuzzCase&)>& before,
                     const std::function<void(const FuzzCase&, const std::string&)>& wrong);

}  // namespace hone
