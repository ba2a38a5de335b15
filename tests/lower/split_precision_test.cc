// The parts that fp32 values are split into: what they are together, and what values that are none
// do to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "compiler/operators/reference.h"
#include "compiler/schedule/schedule.h"
#include "tests/lower/kernel_check.h"

namespace hone {
namespace {

// Each value of x times one, by so many products of parts.
std::vector<double> TimesOne(const std::vector<float>& x, int terms) {
  const auto workload = Workload::Parse(
      "workload/1\ninput x f32 [8]\ninput w f32 [1]\noutput y f32 [8]\n"
      "stage y f32 [i:8] sum [k:1] = x[i+k]*w[k]\n");
  const auto schedule =
      Schedule::Parse("schedule/1\nsplit y " + std::to_string(terms) + "\n", "test");
  EXPECT_TRUE(workload.ok() && schedule.ok());
  KernelCase values;
  values.inputs["x"] = Tensor::Zeros(DType::kF32, {8});
  values.inputs["w"] = Tensor::Zeros(DType::kF32, {1});
  for (size_t i = 0; i < x.size(); ++i) values.inputs["x"].Set(static_cast<int64_t>(i), x[i]);
  values.inputs["w"].Set(0, 1);
  values.expected["y"] = Tensor::Zeros(DType::kF32, {8});
  const auto outputs = RunKernel(*workload, *schedule, Target(), values, RunBy::kInterpreter);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  std::vector<double> y;
  for (size_t i = 0; outputs.ok() && i < x.size(); ++i) {
    y.push_back(outputs->at("y").Get(static_cast<int64_t>(i)));
  }
  return y;
}

const std::vector<float> kNumbers = {1.0f,        -0x1.fffffep0f, 0x1.010101p-20f, 3.14159274f,
                                     -0x1.8p-60f, 0x1.00ff01p90f, 0x1.7f7f7ep0f,   0.0f};

TEST(SplitPrecisionTest, ThreePartsAreTheValueItself) {
  const std::vector<double> y = TimesOne(kNumbers, 6);
  ASSERT_EQ(y.size(), kNumbers.size());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], kNumbers[i]);
}

TEST(SplitPrecisionTest, TwoPartsAreTheValueTo16BitsAndOneTo8) {
  for (const auto& [terms, bits] : {std::pair(3, 16), std::pair(1, 8)}) {
    const std::vector<double> y = TimesOne(kNumbers, terms);
    ASSERT_EQ(y.size(), kNumbers.size());
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_NEAR(y[i], kNumbers[i], std::ldexp(std::abs(kNumbers[i]), -bits)) << terms;
    }
  }
}

TEST(SplitPrecisionTest, WhatIsNotFiniteStaysSo) {
  // NaN among them whose only bits are those that the first part has no room for.
  const std::vector<float> odd = {std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::quiet_NaN(), std::nanf("1")};
  for (const int terms : {1, 3, 6}) {
    for (const double y : TimesOne(odd, terms)) EXPECT_FALSE(std::isfinite(y)) << terms;
  }
}

}  // namespace
}  // namespace hone
