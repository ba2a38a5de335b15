#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tuner/cost_model/xgboost_cost_model.h"

namespace hone {
namespace {

// A function of three of eight features.
TrainingSet Synthetic(int rows, uint32_t seed) {
  std::mt19937 random(seed);
  TrainingSet set;
  for (int i = 0; i < rows; ++i) {
    std::vector<float> row;
    for (int f = 0; f < 8; ++f) row.push_back(static_cast<float>(random() % 16) / 4);
    set.residuals.push_back(0.5f * row[0] - (row[3] > 2 ? 1.0f : 0.0f) + 0.2f * row[5] * row[0]);
    set.features.push_back(std::move(row));
  }
  return set;
}

double MeanSquare(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(XgboostCostModelTest, LearnsAFunction) {
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  const TrainingSet test = Synthetic(200, 2);
  const std::vector<float> untrained = model->Predict(test.features);
  EXPECT_EQ(untrained, std::vector<float>(200, 0));
  ASSERT_TRUE(model->Train(Synthetic(400, 1)).ok());
  EXPECT_LT(MeanSquare(model->Predict(test.features), test.residuals),
            0.1 * MeanSquare(untrained, test.residuals));
}

TEST(XgboostCostModelTest, IsDeterministic) {
  const TrainingSet set = Synthetic(100, 3);
  const std::unique_ptr<CostModel> a = MakeXgboostCostModel();
  const std::unique_ptr<CostModel> b = MakeXgboostCostModel();
  ASSERT_TRUE(a->Train(set).ok());
  ASSERT_TRUE(b->Train(set).ok());
  EXPECT_EQ(a->Predict(set.features), b->Predict(set.features));
}

TEST(XgboostCostModelTest, PredictsTheSameAfterSavingAndLoading) {
  const TrainingSet set = Synthetic(100, 4);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  ASSERT_TRUE(model->Train(set).ok());
  const auto bytes = model->Save();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const std::unique_ptr<CostModel> loaded = MakeXgboostCostModel();
  ASSERT_TRUE(loaded->Load(*bytes).ok());
  EXPECT_EQ(loaded->Predict(set.features), model->Predict(set.features));
}

TEST(XgboostCostModelTest, RefusesWhatItCannotRead) {
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  EXPECT_FALSE(model->Load("not a model").ok());
  EXPECT_FALSE(model->Train({{{1, 2}, {1}}, {0, 0}}).ok());
}

}  // namespace
}  // namespace hone
