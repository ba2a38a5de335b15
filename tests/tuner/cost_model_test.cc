#include <gtest/gtest.h>

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

double MeanSquare(const std::vector<Residual>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i].mean - b[i]) * (a[i].mean - b[i]);
  return sum / static_cast<double>(a.size());
}

double MeanSpread(const std::vector<Residual>& residuals) {
  double sum = 0;
  for (const Residual& residual : residuals) sum += residual.spread;
  return sum / static_cast<double>(residuals.size());
}

TEST(XgboostCostModelTest, LearnsAFunction) {
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  EXPECT_FALSE(model->trained());
  const TrainingSet test = Synthetic(200, 2);
  const std::vector<Residual> untrained = model->Predict(test.features);
  for (const Residual& residual : untrained) EXPECT_EQ(residual.mean, 0);
  ASSERT_TRUE(model->Train(Synthetic(400, 1)).ok());
  EXPECT_TRUE(model->trained());
  EXPECT_LT(MeanSquare(model->Predict(test.features), test.residuals),
            0.1 * MeanSquare(untrained, test.residuals));
}

TEST(XgboostCostModelTest, IsDeterministic) {
  const TrainingSet set = Synthetic(100, 3);
  const std::unique_ptr<CostModel> a = MakeXgboostCostModel();
  const std::unique_ptr<CostModel> b = MakeXgboostCostModel();
  ASSERT_TRUE(a->Train(set).ok());
  ASSERT_TRUE(b->Train(set).ok());
  const std::vector<Residual> from_a = a->Predict(set.features);
  const std::vector<Residual> from_b = b->Predict(set.features);
  for (size_t i = 0; i < set.size(); ++i) {
    EXPECT_EQ(from_a[i].mean, from_b[i].mean);
    EXPECT_EQ(from_a[i].spread, from_b[i].spread);
  }
}

TEST(XgboostCostModelTest, IsSurerWhereItSawMore) {
  const std::unique_ptr<CostModel> few = MakeXgboostCostModel();
  const std::unique_ptr<CostModel> many = MakeXgboostCostModel();
  ASSERT_TRUE(few->Train(Synthetic(40, 1)).ok());
  ASSERT_TRUE(many->Train(Synthetic(2000, 1)).ok());
  const TrainingSet test = Synthetic(200, 2);
  EXPECT_LT(MeanSpread(many->Predict(test.features)), MeanSpread(few->Predict(test.features)));
}

TEST(XgboostCostModelTest, LearnsOnTopOfWhatEarlierSessionsMeasured) {
  const TrainingSet test = Synthetic(200, 2);
  const std::unique_ptr<CostModel> alone = MakeXgboostCostModel();
  const std::unique_ptr<CostModel> with_base = MakeXgboostCostModel();
  ASSERT_TRUE(with_base->TrainBase(Synthetic(1000, 4)).ok());
  EXPECT_TRUE(with_base->trained());
  const TrainingSet few = Synthetic(32, 5);
  // On this machine everything in the first half takes longer than elsewhere.
  auto shifted = [](TrainingSet set) {
    for (size_t i = 0; i < set.size(); ++i) {
      if (set.features[i][1] < 2) set.residuals[i] += 1;
    }
    return set;
  };
  const double before = MeanSquare(with_base->Predict(test.features), shifted(test).residuals);
  ASSERT_TRUE(alone->Train(shifted(few)).ok());
  ASSERT_TRUE(with_base->Train(shifted(few)).ok());
  const double after = MeanSquare(with_base->Predict(test.features), shifted(test).residuals);
  EXPECT_LT(after, before);
  EXPECT_LT(after, MeanSquare(alone->Predict(test.features), shifted(test).residuals));
}

TEST(XgboostCostModelTest, RefusesWhatItCannotRead) {
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  EXPECT_FALSE(model->Train({{{1, 2}, {1}}, {0, 0}}).ok());
}

}  // namespace
}  // namespace hone
