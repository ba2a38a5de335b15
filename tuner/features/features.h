// Features: a candidate as the numbers that the cost model learns from. Dimensionless (ratios and
// logarithms), so that one model serves workloads of all sizes and devices of all kinds.
#pragma once

#include <string>
#include <vector>

#include "base/target.h"
#include "tuner/prior/prior.h"

namespace hone {

// One name a feature, in order.
const std::vector<std::string>& FeatureNames();

// `profile`: the one that `cost` was estimated with.
std::vector<float> FeaturesOf(const NestFacts& facts, const PriorCost& cost, const Target& target,
                              const MachineProfile& profile);

}  // namespace hone
