// CostModel: learns how far measured times stray from the prior, and how sure it is of that.
// Predicts the residual log(measured / predicted) from a candidate's features, never a time.
// Implementations: xgboost_cost_model, and NoCostModel, which trusts the prior.
#pragma once

#include <vector>

#include "base/status.h"

namespace hone {

// What is learnt from: one row a measured candidate.
struct TrainingSet {
  std::vector<std::vector<float>> features;
  std::vector<float> residuals;  // log(measured / predicted), centred within each workload
  size_t size() const { return residuals.size(); }
};

// What a model thinks of one candidate: a residual, and by how much models that saw other parts of
// the same rows disagree about it (a standard deviation; it says little where all are wrong alike).
struct Residual {
  float mean = 0;
  float spread = 0;
};

class CostModel {
 public:
  virtual ~CostModel() = default;
  // Learns what earlier sessions measured, of other workloads and devices as well. What Train
  // learns comes on top. InvalidArgument when rows differ in length.
  virtual Status TrainBase(const TrainingSet& set) = 0;
  // Forgets what Train learnt before, and nothing else. InvalidArgument when rows differ in length.
  virtual Status Train(const TrainingSet& set) = 0;
  // Whether it learnt anything yet.
  virtual bool trained() const = 0;
  // One a row; zeros before the first training.
  virtual std::vector<Residual> Predict(const std::vector<std::vector<float>>& features) const = 0;
};

// Predicts no residual: candidates rank as the prior says.
class NoCostModel : public CostModel {
 public:
  Status TrainBase(const TrainingSet&) override { return absl::OkStatus(); }
  Status Train(const TrainingSet&) override { return absl::OkStatus(); }
  bool trained() const override { return false; }
  std::vector<Residual> Predict(const std::vector<std::vector<float>>& features) const override {
    return std::vector<Residual>(features.size());
  }
};

}  // namespace hone
