// Chains over rows, and attention, become one kernel each and compute what their nodes did.
#include <random>

#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/graph_builder.h"
#include "compiler/graph/partition.h"
#include "compiler/graph/plan_model.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

Expr V(int i) { return EpilogueOperand(i, DType::kF32); }

Tensor Random(const std::vector<int64_t>& shape, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor tensor = Tensor::Zeros(DType::kF32, shape);
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, uniform(random));
  return tensor;
}

// Builds graphs of rows; every step is known to fit.
class Net {
 public:
  int Input(const std::string& name, const std::vector<int64_t>& shape) {
    return builder_.Input(name, {DType::kF32, shape});
  }
  int Weights(const std::vector<int64_t>& shape) {
    return builder_.Constant(Random(shape, ++seed_), "w");
  }
  int Elementwise(std::vector<int> values, const Expr& e) {
    return Must(builder_.Elementwise("e", std::move(values), e));
  }
  int MatMul(int x, int w, bool transpose_w = false) {
    return Must(builder_.Add("matmul", MatMulOp{.transpose_w = transpose_w}, {x, w}));
  }
  int Softmax(int x, bool log = false) {
    const int last = static_cast<int>(builder_.ShapeOf(x).size()) - 1;
    return Must(builder_.Add("softmax", SoftmaxOp{.first = last, .count = 1, .log = log}, {x}));
  }
  // Over the last `count` dimensions.
  int Mean(int x, int count = 1) {
    const std::vector<int64_t> shape = builder_.ShapeOf(x);
    std::vector<bool> reduced(shape.size(), false);
    int64_t extent = 1;
    for (size_t d = shape.size() - count; d < shape.size(); ++d) {
      reduced[d] = true;
      extent *= shape[d];
    }
    const int sum = Must(builder_.Add("sum", ReductionOp{Combiner::kSum, reduced}, {x}));
    return Elementwise({sum}, V(0) * Float(1.0 / static_cast<double>(extent)));
  }
  int LayerNorm(int x, int count = 1) {
    const int centred = Elementwise({x, Mean(x, count)}, V(0) - V(1));
    const int variance = Mean(Elementwise({centred}, V(0) * V(0)), count);
    const int factor =
        Elementwise({variance}, Float(1) / Unary(UnaryOp::kSqrt, V(0) + Float(1e-5)));
    const int normal = Elementwise({centred, factor}, V(0) * V(1));
    const std::vector<int64_t>& shape = builder_.ShapeOf(x);
    const std::vector<int64_t> row(shape.end() - count, shape.end());
    return Elementwise({normal, Weights(row), Weights(row)}, V(0) * V(1) + V(2));
  }
  void Output(const std::string& name, int value) {
    ASSERT_TRUE(builder_.Output(name, value).ok());
  }

  // How many kernels run, after checking that they compute what the graph does node by node.
  size_t Calls() {
    const Graph graph = builder_.graph();
    const auto plan = PlanModel(graph, {});
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::map<std::string, Tensor> inputs;
    for (int value : graph.inputs) {
      inputs[graph.values[value].name] = Random(graph.ShapeOf(value), ++seed_);
    }
    const auto expected = EvaluatePlan(Partition(graph), inputs);
    const auto actual = EvaluatePlan(*plan, inputs);
    EXPECT_TRUE(expected.ok() && actual.ok()) << expected.status() << actual.status();
    for (const auto& [name, tensor] : *expected) {
      const auto difference = CompareTensors(actual->at(name), tensor, {1e-4, 1e-5});
      EXPECT_TRUE(difference.ok() && difference->outside == 0) << name;
    }
    kernels_.clear();
    for (const PlanKernel& kernel : plan->kernels) kernels_ += kernel.workload.ToString();
    return plan->calls.size();
  }
  const std::string& kernels() const { return kernels_; }

 private:
  static int Must(const StatusOr<int>& value) {
    EXPECT_TRUE(value.ok()) << value.status();
    return *value;
  }

  GraphBuilder builder_{"net"};
  int seed_ = 0;
  std::string kernels_;
};

TEST(FuseRowsTest, LayerNormalisationIsOneKernel) {
  Net net;
  net.Output("y", net.LayerNorm(net.Input("x", {2, 5, 12})));
  EXPECT_EQ(net.Calls(), 1u);
  EXPECT_EQ(net.kernels(),
            "workload/1\n"
            "input x f32 [10,12]\n"
            "constant b f32 [12]\n"
            "constant b2 f32 [12]\n"
            "output y f32 [10,12]\n"
            "stage s0 f32 [m:10] sum [k:12] = x[m,k]\n"
            "stage s1 f32 [m:10] = s0[m]*0x1.5555555555555p-4\n"
            "stage s2 f32 [m:10,n:12] = x[m,n]-s1[m]\n"
            "stage s3 f32 [m:10,n:12] = s2[m,n]*s2[m,n]\n"
            "stage s4 f32 [m:10] sum [k:12] = s3[m,k]\n"
            "stage s5 f32 [m:10] = 0x1p+0/sqrt(s4[m]*0x1.5555555555555p-4+0x1.4f8b588e368f1p-17)\n"
            "stage y f32 [m:10,n:12] = s2[m,n]*s5[m]*b[n]+b2[n]\n");
}

TEST(FuseRowsTest, RowsMayHaveSeveralDimensions) {
  Net net;
  net.Output("y", net.LayerNorm(net.Input("x", {3, 4, 6}), 2));
  EXPECT_EQ(net.Calls(), 1u);
}

TEST(FuseRowsTest, BlocksOfATransformerKeepTheirChainsApart) {
  Net net;
  const int x = net.Input("x", {1, 6, 16});
  const int inner = net.LayerNorm(x);
  const int hidden = net.MatMul(inner, net.Weights({16, 24}));
  const int back = net.MatMul(hidden, net.Weights({24, 16}));
  // The residual is read before the chain and after it.
  const int sum = net.Elementwise({back, inner}, V(0) + V(1));
  net.Output("y", net.LayerNorm(sum));
  EXPECT_EQ(net.Calls(), 4u);  // two chains, two products, the second with its residual
}

TEST(FuseRowsTest, SoftmaxTakesWhatStandsAroundIt) {
  for (bool log : {false, true}) {
    Net net;
    const int x = net.Input("x", {2, 3, 4, 7});
    const int mask = net.Input("mask", {2, 1, 1, 7});
    const int scaled = net.Elementwise({x, mask}, V(0) * Float(0.25) + V(1));
    net.Output("y", net.Elementwise({net.Softmax(scaled, log)}, V(0) + Float(1)));
    EXPECT_EQ(net.Calls(), 1u);
    const std::string stages =
        log ? "stage s2 f32 [d0:2,d1:12] sum [k:7] = exp(min(0x0p+0,s0[d0,d1,k]-s1[d0,d1]))\n"
              "stage s3 f32 [d0:2,d1:12] = log(s2[d0,d1])\n"
              "stage s4 f32 [d0:2,d1:12,n:7] = s0[d0,d1,n]-s1[d0,d1]-s3[d0,d1]\n"
              "stage y f32 [d0:2,d1:12,n:7] = s4[d0,d1,n]+0x1p+0\n"
            : "stage s2 f32 [d0:2,d1:12,n:7] = exp(min(0x0p+0,s0[d0,d1,n]-s1[d0,d1]))\n"
              "stage s3 f32 [d0:2,d1:12] sum [k:7] = s2[d0,d1,k]\n"
              "stage s4 f32 [d0:2,d1:12] = 0x1p+0/s3[d0,d1]\n"
              "stage s5 f32 [d0:2,d1:12,n:7] = s2[d0,d1,n]*s4[d0,d1]\n"
              "stage y f32 [d0:2,d1:12,n:7] = s5[d0,d1,n]+0x1p+0\n";
    EXPECT_EQ(net.kernels(),
              "workload/1\n"
              "input x f32 [2,12,7]\n"
              "input b f32 [2,7]\n"
              "output y f32 [2,12,7]\n"
              "stage s0 f32 [d0:2,d1:12,n:7] = x[d0,d1,n]*0x1p-2+b[d0,n]\n"
              "stage s1 f32 [d0:2,d1:12] max [k:7] = s0[d0,d1,k]\n" +
                  stages);
  }
}

TEST(FuseAttentionTest, ProductSoftmaxProductIsOneKernel) {
  Net net;
  const int q = net.Input("q", {2, 3, 5, 4});
  const int k = net.Input("k", {2, 3, 7, 4});
  const int v = net.Input("v", {2, 3, 7, 6});
  const int mask = net.Input("mask", {2, 1, 1, 7});
  const int scaled = net.Elementwise({net.MatMul(q, k, true)}, V(0) * Float(0.5));
  const int scores = net.Elementwise({scaled, mask}, V(0) + V(1));
  net.Output("y", net.MatMul(net.Softmax(scores), v));
  EXPECT_EQ(net.Calls(), 1u);
  EXPECT_EQ(net.kernels(),
            "workload/1\n"
            "input q f32 [2,3,5,4]\n"
            "input k f32 [2,3,7,4]\n"
            "input v f32 [2,3,7,6]\n"
            "input b f32 [2,7]\n"
            "output y f32 [2,3,5,6]\n"
            "stage s f32 [d0:2,d1:3,m:5,n:7] sum [d:4] = q[d0,d1,m,d]*k[d0,d1,n,d]\n"
            "stage p f32 [d0:2,d1:3,m:5,n:7] = s[d0,d1,m,n]*0x1p-1+b[d0,n]\n"
            "stage top f32 [d0:2,d1:3,m:5] max [l:7] = p[d0,d1,m,l]\n"
            "stage e f32 [d0:2,d1:3,m:5,n:7] = exp(min(0x0p+0,p[d0,d1,m,n]-top[d0,d1,m]))\n"
            "stage total f32 [d0:2,d1:3,m:5] sum [l:7] = e[d0,d1,m,l]\n"
            "stage inverse f32 [d0:2,d1:3,m:5] = 0x1p+0/total[d0,d1,m]\n"
            "stage c f32 [d0:2,d1:3,m:5,o:6] sum [l:7] = e[d0,d1,m,l]*v[d0,d1,l,o]\n"
            "stage y f32 [d0:2,d1:3,m:5,o:6] = c[d0,d1,m,o]*inverse[d0,d1,m]\n");
}

TEST(FuseAttentionTest, WithoutBatchAndScaleToo) {
  Net net;
  const int x = net.Input("x", {6, 8});
  const int k = net.Weights({8, 9});
  net.Output("y", net.MatMul(net.Softmax(net.MatMul(x, k)), net.Weights({9, 5})));
  EXPECT_EQ(net.Calls(), 1u);
}

TEST(FuseAttentionTest, ScoresThatOthersReadStayOutside) {
  Net net;
  const int q = net.Input("q", {2, 5, 4});
  const int weights = net.Softmax(net.MatMul(q, q, true));
  net.Output("weights", weights);
  net.Output("y", net.MatMul(weights, q));
  EXPECT_EQ(net.Calls(), 3u);
}

TEST(FuseAttentionTest, BatchesMustBeAlike) {
  Net net;
  const int q = net.Input("q", {2, 5, 4});
  const int k = net.Input("k", {1, 7, 4});  // one for both
  net.Output("y", net.MatMul(net.Softmax(net.MatMul(q, k, true)), net.Input("v", {2, 7, 3})));
  EXPECT_EQ(net.Calls(), 3u);
}

TEST(FuseRowsTest, ASecondResultStaysOutside) {
  Net net;
  const int x = net.Input("x", {4, 9});
  const int mean = net.Mean(x);
  net.Output("mean", mean);
  net.Output("y", net.Elementwise({x, mean}, V(0) - V(1)));
  EXPECT_EQ(net.Calls(), 2u);
}

TEST(FuseRowsTest, WhatDependsOnTheChainOutsideOfItDoesNotJoin) {
  Net net;
  const int x = net.Input("x", {4, 8});
  const int centred = net.Elementwise({x, net.Mean(x)}, V(0) - V(1));
  const int product = net.MatMul(centred, net.Weights({8, 8}));
  const int deviation = net.Mean(net.Elementwise({centred, product}, V(0) * V(1)));
  net.Output("y", net.Elementwise({centred, deviation}, V(0) * V(1)));
  EXPECT_LE(net.Calls(), 3u);
}

}  // namespace
}  // namespace hone
