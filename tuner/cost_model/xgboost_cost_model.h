// A CostModel of gradient-boosted trees (XGBoost): a few boosters, each trained on a part of the
// rows, on one thread and deterministic for a seed. The only place that knows XGBoost.
#pragma once

#include <cstdint>
#include <memory>

#include "tuner/cost_model/cost_model.h"

namespace hone {

struct XgboostOptions {
  int boosters = 4;
  double row_share = 0.75;  // of the rows that each booster sees
  int rounds = 20;          // trees of each booster
  int depth = 5;
  double learning_rate = 0.25;
  uint32_t seed = 1;
};

std::unique_ptr<CostModel> MakeXgboostCostModel(const XgboostOptions& options = {});

}  // namespace hone
