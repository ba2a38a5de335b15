// CostModel: learns how far measured times stray from the prior. Predicts the residual
// log(measured / predicted) from a candidate's features, never a time. Implementations:
// xgboost_cost_model, and NoCostModel, which trusts the prior.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace hone {

// What is learnt from: one row a measured candidate.
struct TrainingSet {
  std::vector<std::vector<float>> features;
  std::vector<float> residuals;  // log(measured / predicted), centred within each workload
  size_t size() const { return residuals.size(); }
};

class CostModel {
 public:
  virtual ~CostModel() = default;
  // Forgets what it learnt before. InvalidArgument when rows differ in length.
  virtual Status Train(const TrainingSet& set) = 0;
  // One residual a row; zeros before the first training.
  virtual std::vector<float> Predict(const std::vector<std::vector<float>>& features) const = 0;

  // The learnt state as bytes, and back. An untrained model saves as "".
  virtual StatusOr<std::string> Save() const = 0;
  virtual Status Load(const std::string& bytes) = 0;
};

// Predicts no residual: candidates rank as the prior says.
class NoCostModel : public CostModel {
 public:
  Status Train(const TrainingSet&) override { return absl::OkStatus(); }
  std::vector<float> Predict(const std::vector<std::vector<float>>& features) const override {
    return std::vector<float>(features.size(), 0);
  }
  StatusOr<std::string> Save() const override { return std::string(); }
  Status Load(const std::string&) override { return absl::OkStatus(); }
};

}  // namespace hone
