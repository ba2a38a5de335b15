#include "tuner/measure/expected_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "runtime/fill.h"

namespace hone {
namespace {

Workload Matmul(int64_t rows, int64_t columns, int64_t terms) {
  return *Workload::Parse(
      absl::StrCat("workload/1\ninput a f32 [", rows, ",", terms, "]\nconstant w f32 [", terms, ",",
                   columns, "]\noutput y f32 [", rows, ",", columns, "]\nstage y f32 [m:", rows,
                   ",n:", columns, "] sum [k:", terms, "] = a[m,k]*w[k,n]\n"));
}

// Every buffer as the workload has it.
pb::Manifest ManifestOf(const Workload& workload) {
  pb::Manifest manifest;
  for (const Buffer& buffer : workload.buffers) {
    pb::BufferInfo* info = manifest.add_buffers();
    info->set_name(buffer.name);
    info->set_role(buffer.role == BufferRole::kOutput  ? pb::BUFFER_ROLE_OUTPUT
                   : buffer.role == BufferRole::kInput ? pb::BUFFER_ROLE_INPUT
                                                       : pb::BUFFER_ROLE_CONSTANT);
  }
  return manifest;
}

ExpectedValues Expect(const Workload& workload, Numerics numerics, uint64_t seed) {
  auto expected = ComputeExpectedValues(workload, ManifestOf(workload), numerics, seed,
                                        SamplePointsOf(workload));
  EXPECT_TRUE(expected.ok()) << expected.status();
  return *std::move(expected);
}

TEST(ExpectedValuesTest, SamplesFollowTheManifestsLayouts) {
  const Workload workload = *Workload::Parse(
      "workload/1\ninput x f32 [4,8]\noutput y f32 [4,8]\n"
      "stage y f32 [m:4,n:8] = x[m,n]+0x1p+0\n");
  pb::Manifest manifest = ManifestOf(workload);
  auto plain = ComputeExpectedValues(workload, manifest, Numerics::kFp32, 7, 5);
  ASSERT_TRUE(plain.ok()) << plain.status();
  ASSERT_EQ(plain->samples.size(), 5u);
  EXPECT_EQ(plain->samples.back().element(), 31);
  EXPECT_EQ(plain->samples.back().buffer(), 1);
  // Both transposed: the same memory under other names, so the same sums at other places.
  manifest.mutable_buffers(0)->set_layout("1,0");
  manifest.mutable_buffers(1)->set_layout("1,0");
  auto transposed = ComputeExpectedValues(workload, manifest, Numerics::kFp32, 7, 32);
  ASSERT_TRUE(transposed.ok());
  EXPECT_EQ(transposed->samples.at(1).element(), 4);  // [0,1]
  EXPECT_EQ(transposed->samples.front().value(), plain->samples.front().value());
}

TEST(ExpectedValuesTest, FewerPointsAreSampledWhereEachNeedsMore) {
  EXPECT_EQ(SamplePointsOf(Matmul(64, 64, 16)), 2048);
  EXPECT_EQ(SamplePointsOf(Matmul(64, 64, 2000)), 1000);
  EXPECT_EQ(SamplePointsOf(Matmul(64, 64, 100000)), 128);
}

TEST(ExpectedValuesTest, APointOfAttentionTakesAWholeRowOfScores) {
  const auto attention = [](int rows, int width) {
    const std::string keys = absl::StrCat("[j:", rows, "]");
    const std::string points = absl::StrCat("[i:", rows, ",j:", rows, "]");
    const std::string shape = absl::StrCat(" f32 [", rows, ",", width, "]\n");
    return *Workload::Parse(absl::StrCat(
        "workload/1\ninput q", shape, "input k", shape, "input v", shape, "output y", shape,
        "stage s f32 ", points, " sum [d:", width, "] = q[i,d]*k[j,d]\n", "stage top f32 [i:", rows,
        "] max ", keys, " = s[i,j]\n",                               //
        "stage e f32 ", points, " = exp(s[i,j]-top[i])\n",           //
        "stage total f32 [i:", rows, "] sum ", keys, " = e[i,j]\n",  //
        "stage y f32 [i:", rows, ",d:", width, "] sum ", keys, " = e[i,j]/total[i]*v[j,d]\n"));
  };
  // 50 x 16 products for the scores, and 50 each for the two sums, the maximum and exp.
  EXPECT_EQ(SamplePointsOf(attention(50, 16)), 2000);
  EXPECT_EQ(SamplePointsOf(attention(50, 76)), 500);
  EXPECT_EQ(SamplePointsOf(attention(512, 64)), 128);
}

TEST(ExpectedValuesTest, TolerancesGrowWithTheSumAndTheClass) {
  const Workload small = Matmul(64, 64, 16);
  const Workload large = Matmul(64, 64, 1024);
  EXPECT_NEAR(ToleranceOf(large, Numerics::kFp32).atol(),
              8 * ToleranceOf(small, Numerics::kFp32).atol(), 1e-9);
  EXPECT_EQ(ToleranceOf(small, Numerics::kStrict).atol(),
            ToleranceOf(small, Numerics::kFp32).atol());
  EXPECT_GT(ToleranceOf(small, Numerics::kFast).atol(), ToleranceOf(small, Numerics::kFp32).atol());
}

// A way to sum products in fp32: the k-th of `terms` from a function.
using Product = std::function<std::pair<float, float>(int64_t k)>;
using Sum = float (*)(const Product& product, int64_t terms);

float InSequence(const Product& product, int64_t terms) {
  float sum = 0;
  for (int64_t k = 0; k < terms; ++k) {
    const auto [a, b] = product(k);
    const volatile float rounded = a * b;
    sum += rounded;
  }
  return sum;
}

float Backwards(const Product& product, int64_t terms) {
  return InSequence([&](int64_t k) { return product(terms - 1 - k); }, terms);
}

float ByMultiplyAdd(const Product& product, int64_t terms) {
  float sum = 0;
  for (int64_t k = 0; k < terms; ++k) {
    const auto [a, b] = product(k);
    sum = std::fma(a, b, sum);
  }
  return sum;
}

// As blocked loops do: another order, one chain.
float InBlocks(const Product& product, int64_t terms) {
  float sum = 0;
  for (int64_t first = 0; first < 8; ++first) {
    for (int64_t k = first; k < terms; k += 8) {
      const auto [a, b] = product(k);
      sum = std::fma(a, b, sum);
    }
  }
  return sum;
}

// As vectors along the sum do.
float InEightParts(const Product& product, int64_t terms) {
  float parts[8] = {};
  for (int64_t k = 0; k < terms; ++k) {
    const auto [a, b] = product(k);
    parts[k % 8] = std::fma(a, b, parts[k % 8]);
  }
  float sum = 0;
  for (float part : parts) sum += part;
  return sum;
}

constexpr Sum kHonest[] = {InSequence, Backwards, ByMultiplyAdd, InBlocks, InEightParts};

// The rms error of a way to sum, as the agent computes it. `factor`: each error made so much
// larger.
double RmsError(const Workload& workload, const ExpectedValues& expected, uint64_t seed, Sum sum,
                double factor) {
  const int64_t rows = workload.buffers[0].shape[0]->int_value;
  const int64_t terms = workload.buffers[0].shape[1]->int_value;
  const int64_t columns = workload.buffers[1].shape[1]->int_value;
  std::vector<float> a(rows * terms), w(terms * columns);
  hone_fill(a.data(), static_cast<int64_t>(a.size()), "f32", seed, 0);
  hone_fill(w.data(), static_cast<int64_t>(w.size()), "f32", seed, 1);
  double errors = 0, values = 0;
  for (const pb::SamplePoint& sample : expected.samples) {
    const int64_t row = sample.element() / columns;
    const int64_t column = sample.element() % columns;
    const float got = sum(
        [&](int64_t k) { return std::pair(a[row * terms + k], w[k * columns + column]); }, terms);
    const double error = factor * (got - sample.value());
    errors += error * error;
    values += sample.value() * sample.value();
  }
  return std::sqrt(errors / values);
}

// Shapes from a few points to as many as are sampled, sums from one product to thousands.
struct Shape {
  int64_t rows, columns, terms;
};
constexpr Shape kShapes[] = {{1, 4, 64},   {1, 17, 1},   {4, 8, 2},    {4, 8, 9},    {5, 13, 300},
                             {1, 128, 64}, {16, 16, 3},  {16, 16, 64}, {1, 1000, 9}, {32, 32, 64},
                             {64, 64, 2},  {64, 64, 27}, {8, 64, 576}, {2, 64, 4608}};

TEST(ExpectedValuesTest, HonestSumsAreNeverRefusedInAnyClass) {
  for (const Shape& shape : kShapes) {
    const Workload workload = Matmul(shape.rows, shape.columns, shape.terms);
    const int seeds =
        static_cast<int>(std::max<int64_t>(8, 400000 / (shape.rows * shape.columns * shape.terms)));
    for (int seed = 1; seed <= std::min(seeds, 200); ++seed) {
      const ExpectedValues expected = Expect(workload, Numerics::kStrict, seed);
      if (expected.rms_error_max == 0) continue;  // nothing is refused
      for (const Sum sum : kHonest) {
        EXPECT_LE(RmsError(workload, expected, seed, sum, 1), expected.rms_error_max)
            << shape.rows << "x" << shape.columns << "x" << shape.terms << " seed " << seed;
      }
    }
  }
}

TEST(ExpectedValuesTest, ErrorsBeyondTheClassAreRefusedWhereThereArePointsEnough) {
  for (const Shape& shape : {Shape{32, 32, 64}, Shape{64, 64, 64}, Shape{16, 64, 576}}) {
    const Workload workload = Matmul(shape.rows, shape.columns, shape.terms);
    for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
      const double factor = SequentialErrorFactor(numerics);
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const ExpectedValues expected = Expect(workload, numerics, seed);
        // Twice the bound; sums this short have an error of two units in the last place or so.
        const double error = RmsError(workload, expected, seed, InSequence, 2 * factor);
        EXPECT_GT(error, expected.rms_error_max) << NumericsName(numerics) << " seed " << seed;
        EXPECT_NEAR(error, 2 * factor * expected.sequential_rms_error, 1e-3 * error);
      }
    }
  }
}

TEST(ExpectedValuesTest, ClassBf16IsBoundByWhatRoundingTheOperandsCosts) {
  for (const auto& [terms, bound] : {std::pair{64, 0x1p-8}, {4608, 1e-4 * std::sqrt(4608.0)}}) {
    const ExpectedValues expected = Expect(Matmul(8, 64, terms), Numerics::kBf16, 3);
    EXPECT_GT(expected.rms_error_max, bound);
    EXPECT_LT(expected.rms_error_max, 2 * bound);
  }
}

TEST(ExpectedValuesTest, WhereSequentialCodeDoesNotErrAFewUnitsInTheLastPlaceAreAllowed) {
  const Workload copy = *Workload::Parse(
      "workload/1\ninput x f32 [64,64]\noutput y f32 [64,64]\n"
      "stage y f32 [m:64,n:64] = x[n,m]\n");
  const ExpectedValues expected = Expect(copy, Numerics::kStrict, 3);
  EXPECT_EQ(expected.sequential_rms_error, 0);
  EXPECT_EQ(expected.rms_error_max, 2 * 0x1p-23);
  const Workload exponential = *Workload::Parse(
      "workload/1\ninput x f32 [64,64]\noutput y f32 [64,64]\n"
      "stage y f32 [m:64,n:64] = exp(x[m,n])\n");
  EXPECT_EQ(Expect(exponential, Numerics::kStrict, 3).rms_error_max, 5 * 0x1p-23);
}

TEST(ExpectedValuesTest, PointsThatShareASumCountAsOne) {
  const auto softmax = [](int rows) {
    return *Workload::Parse(absl::StrCat(
        "workload/1\ninput x f32 [", rows, ",1000]\noutput y f32 [", rows,
        ",1000]\nstage e f32 [m:", rows, ",n:1000] = exp(x[m,n])\nstage total f32 [m:", rows,
        "] sum [k:1000] = e[m,k]\nstage y f32 [m:", rows, ",n:1000] = e[m,n]/total[m]\n"));
  };
  EXPECT_EQ(Expect(softmax(1), Numerics::kStrict, 3).rms_error_max, 0);  // one sum says nothing
  const ExpectedValues many = Expect(softmax(256), Numerics::kFp32, 3);
  EXPECT_GT(many.rms_error_max, 4 * many.sequential_rms_error);
}

TEST(ExpectedValuesTest, HalfPrecisionHasNoBoundOfFp32) {
  const Workload workload = *Workload::Parse(
      "workload/1\ninput x f16 [64,64]\noutput y f16 [64,64]\n"
      "stage y f16 [m:64,n:64] = x[m,n]*x[m,n]\n");
  EXPECT_EQ(Expect(workload, Numerics::kFp32, 3).rms_error_max, 0);
}

}  // namespace
}  // namespace hone
