#include "compiler/operators/reference.h"

#include <chrono>
#include <cmath>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

Workload Parsed(absl::string_view text) {
  auto workload = Workload::Parse(text);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return *workload;
}

Tensor Random(std::vector<int64_t> shape, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor tensor = Tensor::Zeros(DType::kF32, std::move(shape));
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, uniform(random));
  return tensor;
}

constexpr char kConvolution[] =
    "workload/1\n"
    "input x f32 [2,3,7,6]\n"
    "constant w f32 [5,3,3,3]\n"
    "constant b f32 [5]\n"
    "output y f32 [2,5,4,3]\n"
    "stage c f32 [n:2,o:5,h:4,w:3] sum [i:3,p:3,q:3] = "
    "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:2,o:5,h:4,w:3] = max(c[n,o,h,w]+b[o],0x0p+0)\n";

// The convolution above by seven loops.
double ConvolvedAt(const Tensor& x, const Tensor& w, const Tensor& b, int64_t n, int64_t o,
                   int64_t h, int64_t v) {
  double sum = b.Get(o);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t p = 0; p < 3; ++p) {
      for (int64_t q = 0; q < 3; ++q) {
        const int64_t row = h * 2 + p - 1;
        const int64_t column = v * 2 + q - 1;
        if (row < 0 || row >= 7 || column < 0 || column >= 6) continue;
        sum += x.Get(((n * 3 + i) * 7 + row) * 6 + column) * w.Get(((o * 3 + i) * 3 + p) * 3 + q);
      }
    }
  }
  return std::max(sum, 0.0);
}

TEST(ReferenceTest, ConvolvesAsSevenLoopsDo) {
  const TensorMap inputs = {
      {"x", Random({2, 3, 7, 6}, 1)}, {"w", Random({5, 3, 3, 3}, 2)}, {"b", Random({5}, 3)}};
  const auto outputs = EvaluateWorkload(Parsed(kConvolution), inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const Tensor& y = outputs->at("y");
  int64_t at = 0;
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t o = 0; o < 5; ++o) {
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t w = 0; w < 3; ++w, ++at) {
          EXPECT_NEAR(y.Get(at),
                      ConvolvedAt(inputs.at("x"), inputs.at("w"), inputs.at("b"), n, o, h, w),
                      1e-6);
        }
      }
    }
  }
}

TEST(ReferenceTest, SamplesEqualTheWholeEvaluation) {
  const TensorMap inputs = {
      {"x", Random({2, 3, 7, 6}, 1)}, {"w", Random({5, 3, 3, 3}, 2)}, {"b", Random({5}, 3)}};
  const Workload workload = Parsed(kConvolution);
  const auto outputs = EvaluateWorkload(workload, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const auto samples = EvaluateSamples(workload, inputs, "y",
                                       {{0, 0, 0, 0}, {1, 4, 3, 2}, {1, 2, 1, 0}, {0, 0, 0, 0}});
  ASSERT_TRUE(samples.ok()) << samples.status();
  const Tensor& y = outputs->at("y");
  EXPECT_THAT(*samples, ElementsAre(DoubleNear(y.Get(0), 1e-6), DoubleNear(y.Get(119), 1e-6),
                                    DoubleNear(y.Get(((5 + 2) * 4 + 1) * 3), 1e-6),
                                    DoubleNear(y.Get(0), 1e-6)));
}

TEST(ReferenceTest, SequentialArithmeticRoundsEveryOperation) {
  const Workload workload = Parsed(
      "workload/1\n"
      "input x f32 [4]\n"
      "input w f32 [4]\n"
      "output y f32 [1]\n"
      "output z f32 [1]\n"
      "stage y f32 [m:1] sum [k:4] = x[m+k]*w[m+k]\n"
      "stage z f32 [m:1] = (x[m]+w[m])*w[m]-y[m]\n");
  const std::vector<float> x = {1.1f, 2.3f, -1e5f, 1e-3f}, w = {0.7f, 1e6f, 3.1f, 0.9f};
  const TensorMap inputs = {{"x", Tensor::Floats({4}, x)}, {"w", Tensor::Floats({4}, w)}};
  volatile float sum = 0;  // volatile: no fused multiply-add
  for (int k = 0; k < 4; ++k) {
    volatile float product = x[k] * w[k];
    sum = sum + product;
  }
  volatile float rest = x[0] + w[0];
  rest = rest * w[0];
  rest = rest - sum;
  const auto y = EvaluateSamples(workload, inputs, "y", {{0}}, {}, Arithmetic::kSequential);
  const auto z = EvaluateSamples(workload, inputs, "z", {{0}}, {}, Arithmetic::kSequential);
  ASSERT_TRUE(y.ok() && z.ok()) << y.status() << z.status();
  EXPECT_THAT(*y, ElementsAre(static_cast<double>(sum)));
  EXPECT_THAT(*z, ElementsAre(static_cast<double>(rest)));
  EXPECT_NE(*EvaluateSamples(workload, inputs, "y", {{0}}), *y);
}

TEST(ReferenceTest, SoftmaxInStages) {
  const Workload workload = Parsed(
      "workload/1\n"
      "input x f32 [2,3]\n"
      "output y f32 [2,3]\n"
      "stage top f32 [m:2] max [k:3] = x[m,k]\n"
      "stage e f32 [m:2,n:3] = exp(x[m,n]-top[m])\n"
      "stage total f32 [m:2] sum [k:3] = e[m,k]\n"
      "stage y f32 [m:2,n:3] = e[m,n]/total[m]\n");
  const TensorMap inputs = {{"x", Tensor::Floats({2, 3}, {1, 2, 3, 1000, 1000, -1000})}};
  const auto outputs = EvaluateWorkload(workload, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToDoubles(),
              ElementsAre(DoubleNear(0.09003057, 1e-7), DoubleNear(0.24472847, 1e-7),
                          DoubleNear(0.66524096, 1e-7), 0.5, 0.5, 0));
  const auto samples = EvaluateSamples(workload, inputs, "y", {{0, 2}, {1, 1}});
  EXPECT_THAT(*samples, ElementsAre(DoubleNear(0.66524096, 1e-7), 0.5));
}

TEST(ReferenceTest, ReadsThroughIndicesAndParameters) {
  const Workload workload = Parsed(
      "workload/1\n"
      "param M 0..8\n"
      "input t f32 [4,2]\n"
      "input at i64 [M]\n"
      "output y f32 [M,2]\n"
      "stage y f32 [m:M,n:2] = t[at[m],n]\n");
  const Tensor table = Tensor::Floats({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  auto outputs =
      EvaluateWorkload(workload, {{"t", table}, {"at", Tensor::Ints({3}, {3, 0, 3})}}, {{"M", 3}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToDoubles(), ElementsAre(6, 7, 0, 1, 6, 7));
  outputs = EvaluateWorkload(workload, {{"t", table}, {"at", Tensor::Ints({0}, {})}}, {{"M", 0}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->at("y").ElementCount(), 0);
  outputs = EvaluateWorkload(workload, {{"t", table}, {"at", Tensor::Ints({1}, {4})}}, {{"M", 1}});
  EXPECT_THAT(outputs.status().message(),
              HasSubstr("load of t at [4,0] lies outside its shape [4,2]"));
}

TEST(ReferenceTest, ASelectsUntakenArmMayLieOutside) {
  const Workload workload = Parsed(
      "workload/1\n"
      "input x f32 [2]\n"
      "output y f32 [4]\n"
      "stage y f32 [m:4] = select(m<2,x[m],0x1p+0)\n");
  const auto outputs = EvaluateWorkload(workload, {{"x", Tensor::Floats({2}, {5, 6})}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToDoubles(), ElementsAre(5, 6, 1, 1));
}

TEST(ReferenceTest, IntegersWrap) {
  const Workload workload = Parsed(
      "workload/1\n"
      "input x u8 [2]\n"
      "output y u8 [2]\n"
      "stage y u8 [m:2] = x[m]+100:u8\n");
  Tensor x = Tensor::Zeros(DType::kU8, {2});
  x.SetInt(0, 100);
  x.SetInt(1, 200);
  const auto outputs = EvaluateWorkload(workload, {{"x", x}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToInts(), ElementsAre(200, 44));
}

TEST(ReferenceTest, NamesTheBufferThatDoesNotFit) {
  const Workload workload = Parsed(kConvolution);
  EXPECT_EQ(EvaluateWorkload(workload, {}).status().message(), "no value for buffer 'x'");
  EXPECT_EQ(EvaluateWorkload(workload, {{"x", Random({2, 3, 7, 7}, 1)}}).status().message(),
            "buffer 'x' is f32[2,3,7,6], not f32[2,3,7,7]");
  EXPECT_EQ(
      EvaluateSamples(
          workload,
          {{"x", Random({2, 3, 7, 6}, 1)}, {"w", Random({5, 3, 3, 3}, 2)}, {"b", Random({5}, 3)}},
          "y", {{0, 5, 0, 0}})
          .status()
          .message(),
      "point [0,5,0,0] lies outside y [2,5,4,3]");
}

}  // namespace
}  // namespace hone
