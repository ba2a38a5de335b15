// Reductions in lanes give what plain loops give, for every length around whole vectors: with the
// length known, and as a parameter.
#include "compiler/lower/vectorize_reduction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

constexpr int64_t kLongest = 150;

// One number a row of two; `length` is a number or the parameter.
Workload RowsOf(absl::string_view combiner, absl::string_view length, absl::string_view body) {
  const bool open = length == "K";
  auto workload = Workload::Parse(
      absl::StrCat("workload/1\n", open ? absl::StrCat("param K 0..", kLongest, "\n") : "",
                   "input x f32 [2,", length, "]\noutput y f32 [2]\nstage y f32 [m:2] ", combiner,
                   " [k:", length, "] = ", body, "\n"));
  EXPECT_TRUE(workload.ok()) << workload.status();
  return *workload;
}

std::vector<double> Reduced(const Workload& workload, const std::vector<int64_t>& params,
                            const Tensor& x) {
  const Schedule schedule = *Schedule::Parse("schedule/1\nvectorize y k\n");
  const auto artifact = Compile(workload, schedule, Avx2Target());
  EXPECT_TRUE(artifact.ok()) << artifact.status();
  std::map<std::string, Tensor> buffers = {{"x", x}, {"y", Tensor::Zeros(DType::kF32, {2})}};
  const Status status = RunArtifact(*artifact, params, buffers);
  EXPECT_TRUE(status.ok()) << status;
  return buffers.at("y").ToDoubles();
}

Tensor Random(int64_t length) {
  Tensor x = Tensor::Zeros(DType::kF32, {2, length});
  std::mt19937_64 random(length);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < 2 * length; ++i) x.Set(i, normal(random));
  return x;
}

double SumOfSquares(const Tensor& x, int64_t row, int64_t length) {
  double sum = 0;
  for (int64_t k = 0; k < length; ++k) sum += x.Get(row * length + k) * x.Get(row * length + k);
  return sum;
}

double Largest(const Tensor& x, int64_t row, int64_t length) {
  double largest = -INFINITY;
  for (int64_t k = 0; k < length; ++k) largest = std::max(largest, x.Get(row * length + k));
  return largest;
}

void Check(const std::vector<double>& sums, const std::vector<double>& tops, const Tensor& x,
           int64_t length) {
  for (int64_t row = 0; row < 2; ++row) {
    EXPECT_NEAR(sums[row], SumOfSquares(x, row, length), 1e-4) << length;
    EXPECT_EQ(tops[row], Largest(x, row, length)) << length;
  }
}

TEST(VectorizeReductionTest, OfKnownLength) {
  for (int64_t length : {1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 39, 63, 64, 71, 97, 128, 149}) {
    const Tensor x = Random(length);
    const std::string text = absl::StrCat(length);
    Check(Reduced(RowsOf("sum", text, "x[m,k]*x[m,k]"), {}, x),
          Reduced(RowsOf("max", text, "x[m,k]"), {}, x), x, length);
  }
}

TEST(VectorizeReductionTest, OfALengthThatStaysOpen) {
  const Workload sum = RowsOf("sum", "K", "x[m,k]*x[m,k]");
  const Workload top = RowsOf("max", "K", "x[m,k]");
  for (int64_t length : {0, 1, 7, 8, 9, 31, 32, 33, 41, 64, 97, 150}) {
    const Tensor x = Random(length);
    Check(Reduced(sum, {length}, x), Reduced(top, {length}, x), x, length);
  }
}

}  // namespace
}  // namespace hone
