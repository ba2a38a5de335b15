// A CostModel of gradient-boosted trees (XGBoost), trained on one thread and deterministic for a
// seed. The only place that knows XGBoost.
#pragma once

#include <cstdint>
#include <memory>

#include "tuner/cost_model/cost_model.h"

namespace hone {

struct XgboostOptions {
  int rounds = 60;
  int depth = 5;
  double learning_rate = 0.15;
  uint32_t seed = 1;
};

std::unique_ptr<CostModel> MakeXgboostCostModel(const XgboostOptions& options = {});

}  // namespace hone
