// Passes and the plans they make, on small graphs built by hand.
#include <random>

#include "compiler/graph/assign_layouts.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/fuse.h"
#include "compiler/graph/graph_builder.h"
#include "compiler/graph/partition.h"
#include "compiler/graph/plan_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const DType kF32 = DType::kF32;

Expr V(int i) { return EpilogueOperand(i, kF32); }
Expr Relu(const Expr& x) { return Max(x, Float(0)); }

Tensor Random(const std::vector<int64_t>& shape, int seed, DType dtype = kF32) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(dtype == kF32 ? -1 : 0, dtype == kF32 ? 1 : 100);
  Tensor tensor = Tensor::Zeros(dtype, shape);
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, uniform(random));
  return tensor;
}

// Builds graphs; every step is known to fit.
class Net {
 public:
  Net() : builder_("net") {}
  int Input(const std::string& name, const std::vector<int64_t>& shape) {
    return builder_.Input(name, {kF32, shape});
  }
  int Conv(int x, int64_t out, int64_t kernel) {
    const int64_t in = builder_.ShapeOf(x)[1];
    const int w = builder_.Constant(Random({out, in, kernel, kernel}, ++seed_), "w");
    const int64_t pad = kernel / 2;
    const ConvolutionOp op{.window = {{kernel, kernel}, {1, 1}, {1, 1}, {pad, pad}, {pad, pad}}};
    return Must(builder_.Add("conv", op, {x, w}));
  }
  int Elementwise(std::vector<int> values, const Expr& e) {
    return Must(builder_.Elementwise("e", std::move(values), e));
  }
  int Concat(std::vector<int> values, int axis) {
    return Must(builder_.Add("concat", ConcatOp{axis}, std::move(values)));
  }
  int Reshape(int value, std::vector<int64_t> shape) {
    return Must(builder_.Reshape("reshape", value, std::move(shape)));
  }
  int BatchNorm(int x) {
    std::vector<int> inputs = {x};
    const int64_t channels = builder_.ShapeOf(x)[1];
    for (int i = 0; i < 4; ++i) {
      Tensor statistic = Random({channels}, ++seed_);
      for (int64_t c = 0; c < channels; ++c) statistic.Set(c, std::abs(statistic.Get(c)) + 0.5);
      inputs.push_back(builder_.Constant(std::move(statistic), "statistic"));
    }
    return Must(builder_.Add("bn", BatchNormOp{1e-5}, inputs));
  }
  void Output(const std::string& name, int value) {
    ASSERT_TRUE(builder_.Output(name, value).ok());
  }
  GraphBuilder& builder() { return builder_; }
  Graph Take() { return std::move(builder_).Take(); }

 private:
  static int Must(StatusOr<int> value) {
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(0);
  }
  GraphBuilder builder_;
  int seed_ = 0;
};

// The plan after all passes computes what the graph computes node by node.
void ExpectSameValues(const Graph& graph, const ModelPlan& plan) {
  std::map<std::string, Tensor> inputs;
  int seed = 100;
  for (int value : graph.inputs) {
    const TensorType& type = graph.values[value].type;
    inputs[graph.values[value].name] = Random(type.shape, ++seed, type.dtype);
  }
  Graph plain = graph;
  const auto expected = EvaluatePlan(Partition(plain), inputs);
  const auto actual = EvaluatePlan(plan, inputs);
  ASSERT_TRUE(expected.ok() && actual.ok()) << expected.status() << actual.status();
  for (const auto& [name, tensor] : *expected) {
    const auto difference = CompareTensors(actual->at(name), tensor, {1e-4, 1e-5});
    ASSERT_TRUE(difference.ok()) << difference.status();
    EXPECT_EQ(difference->outside, 0) << name;
  }
}

const PlanTensor& TensorNamed(const ModelPlan& plan, absl::string_view name) {
  for (const PlanTensor& tensor : plan.tensors) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return plan.tensors[0];
}

TEST(PlanTest, ActivationAndResidualJoinTheConvolution) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int a = net.Elementwise({net.Conv(x, 8, 3)}, Relu(V(0)));
  const int b = net.Conv(a, 8, 3);
  net.Output("y", net.Elementwise({net.Elementwise({b, x}, V(0) + V(1))}, Relu(V(0))));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 2u);
  ExpectSameValues(graph, *plan);
}

// What stands in front of a convolution and has no producer of its own to join.
TEST(PlanTest, NormalisationAndActivationInFrontOfAConvolutionAreItsPrologue) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int scale = net.builder().Constant(Random({8, 1, 1}, 1), "scale");
  const int bias = net.builder().Constant(Random({8, 1, 1}, 2), "bias");
  const int t =
      net.Elementwise({net.Elementwise({x, scale, bias}, V(0) * V(1) + V(2))}, Relu(V(0)));
  net.Output("y", net.Elementwise({net.Conv(t, 8, 1), x}, V(0) + V(1)));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->calls.size(), 1u);
  EXPECT_EQ(plan->kernels[0].workload.ToString(),
            "workload/1\n"
            "input x f32 [1,8,36]\n"
            "constant w f32 [8,8]\n"
            "input r f32 [1,8,36]\n"
            "constant b f32 [8]\n"
            "constant b2 f32 [8]\n"
            "output y f32 [1,8,36]\n"
            "stage t f32 [n:1,i:8,m:36] = max(x[n,i,m]*b[i]+b2[i],0x0p+0)\n"
            "stage c f32 [n:1,o:8,m:36] sum [i:8] = t[n,i,m]*w[o,i]\n"
            "stage y f32 [n:1,o:8,m:36] = c[n,o,m]+r[n,o,m]\n");
  ExpectSameValues(graph, *plan);
}

TEST(PlanTest, PrologueThatOthersReadTooStaysItself) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int t = net.Elementwise({x}, Relu(V(0)));
  net.Output("y", net.Conv(t, 8, 3));
  net.Output("z", net.Conv(t, 8, 1));
  const auto plan = PlanModel(net.Take(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 3u);
}

// Images as matrices, a gate for each channel, groups of channels at a stride, a cast.
TEST(PlanTest, ProloguesAreSaidInTheDimensionsOfTheirReader) {
  Net net;
  const int x = net.Input("x", {2, 8, 6, 6});
  const int gate = net.Input("gate", {2, 8, 1, 1});
  net.Output("a", net.Conv(net.Elementwise({x, gate}, V(0) * V(1)), 16, 1));
  const int w = net.builder().Constant(Random({8, 4, 1, 1}, 7), "w");
  const ConvolutionOp grouped{.window = {{1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}}, .groups = 2};
  const int u = net.Elementwise({x, gate}, Max(V(0), V(1)));
  net.Output("b", *net.builder().Add("grouped", grouped, {u, w}));
  const int bytes = net.builder().Input("bytes", {DType::kU8, {2, 5, 8}});
  const int left = *net.builder().Cast("cast", bytes, kF32);
  const int right = net.Input("z", {2, 8, 3});
  net.Output("c", *net.builder().Add("product", MatMulOp{}, {left, right}));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->calls.size(), 3u);
  EXPECT_THAT(plan->kernels[0].workload.ToString(),
              HasSubstr("stage t f32 [n:2,i:8,m:36] = x[n,i,m]*b[n,i]\n"));
  EXPECT_THAT(plan->kernels[1].workload.ToString(),
              HasSubstr("stage t f32 [n:2,g:2,i:4,h:6,w:6] = max(x[n,g,i,h,w],b[n,g,i])\n"));
  EXPECT_THAT(plan->kernels[2].workload.ToString(),
              HasSubstr("stage t f32 [b:2,m:5,k:8] = f32(x[b,m,k])\n"));
  ExpectSameValues(graph, *plan);
}

// A pass over memory is little beside their arithmetic, of which Winograd would leave half.
TEST(PlanTest, ConvolutionsWithAWindowTakeNoPrologue) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  net.Output("y", net.Conv(net.Elementwise({x}, Relu(V(0))), 8, 3));
  const auto plan = PlanModel(net.Take(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 2u);
}

TEST(PlanTest, WindowsTakeAPrologueThatIsCheapToRepeat) {
  const auto calls = [](const Expr& e, int64_t stride) {
    Net net;
    const int x = net.Input("x", {1, 8, 8, 8});
    const PoolingOp op{.window = {{3, 3}, {stride, stride}, {1, 1}, {1, 1}, {1, 1}}};
    net.Output("y", *net.builder().Add("pool", op, {net.Elementwise({x}, e)}));
    const Graph graph = net.Take();
    const auto plan = PlanModel(graph, {});
    EXPECT_TRUE(plan.ok()) << plan.status();
    ExpectSameValues(graph, *plan);
    return plan->calls.size();
  };
  EXPECT_EQ(calls(Relu(V(0) * Float(2) + Float(1)), 2), 1u);
  EXPECT_EQ(calls(Relu(V(0) * Float(2) + Float(1)), 1), 2u);
  EXPECT_EQ(calls(Unary(UnaryOp::kExp, V(0)), 2), 2u);
}

TEST(PlanTest, AValueWithTwoReadersStaysItself) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int c = net.Conv(x, 8, 3);
  net.Output("y", net.Elementwise({c}, Relu(V(0))));
  net.Output("z", net.Elementwise({c}, V(0) * V(0)));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 3u);
  ExpectSameValues(graph, *plan);
}

TEST(PlanTest, SwishJoinsWhole) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int c = net.Conv(x, 8, 3);
  const int s = net.Elementwise({c}, Unary(UnaryOp::kSigmoid, V(0)));
  net.Output("y", net.Elementwise({c, s}, V(0) * V(1)));
  const auto plan = PlanModel(net.Take(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 1u);
}

TEST(PlanTest, BatchNormIsFoldedIntoWeights) {
  Net net;
  const int x = net.Input("x", {1, 4, 6, 6});
  net.Output("y", net.Elementwise({net.BatchNorm(net.Conv(x, 8, 3))}, Relu(V(0))));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->calls.size(), 1u);
  EXPECT_THAT(plan->kernels[0].workload.ToString(), HasSubstr("max(c[n,o,h,w]+b[o],0x0p+0)"));
  const Tensor in = Random({1, 4, 6, 6}, 5);
  const auto outputs = EvaluatePlan(*plan, {{"x", in}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  // By hand at one point: the convolution from the graph's own weights, then the formula.
  const Graph& g = graph;
  const Node& conv = g.nodes[0];
  const Node& norm = g.nodes[1];
  const Tensor& w = *g.values[conv.inputs[1]].constant;
  auto statistic = [&](int i) { return g.values[norm.inputs[i]].constant->Get(2); };
  double sum = 0;
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t p = 0; p < 3; ++p) {
      for (int64_t q = 0; q < 3; ++q) {
        sum += in.Get((i * 6 + 2 + p) * 6 + 1 + q) * w.Get(((2 * 4 + i) * 3 + p) * 3 + q);
      }
    }
  }
  const double y =
      statistic(1) * (sum - statistic(3)) / std::sqrt(statistic(4) + 1e-5) + statistic(2);
  EXPECT_NEAR(outputs->at("y").Get((2 * 6 + 3) * 6 + 2), std::max(y, 0.0), 1e-5);
}

TEST(PlanTest, BatchNormElsewhereIsElementwise) {
  Net net;
  const int x = net.Input("x", {1, 4, 6, 6});
  net.Output("y", net.BatchNorm(x));
  const auto plan = PlanModel(net.Take(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->kernels[0].workload.ToString(),
              HasSubstr("stage y f32 [n:1,c:4,m:36] = x[n,c,m]*b[c]+b2[c]"));
}

TEST(PlanTest, ConcatenationOfChannelsIsFree) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int a = net.Conv(x, 16, 1);
  const int b = net.Conv(x, 8, 3);
  const int joined = net.Concat({a, b}, 1);
  net.Output("y", net.Conv(joined, 8, 3));
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 3u);
  const PlanTensor& first = TensorNamed(*plan, "conv");
  const PlanTensor& second = TensorNamed(*plan, "conv.1");
  EXPECT_EQ(plan->tensors[first.part_of].name, "concat");
  EXPECT_EQ(first.part_offset_bytes, 0);
  EXPECT_EQ(second.part_offset_bytes, 16 * 36 * 4);
  EXPECT_EQ(first.layout.ToString(), "0,1/8,2,3,1%8");
  EXPECT_EQ(TensorNamed(*plan, "concat").layout.ToString(), "0,1/8,2,3,1%8");
  ExpectSameValues(graph, *plan);
}

TEST(PlanTest, PartsThatDoNotDivideKeepTheWholePlain) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int joined = net.Concat({net.Conv(x, 12, 1), net.Conv(x, 4, 3)}, 1);
  net.Output("y", net.Conv(joined, 8, 3));
  const auto plan = PlanModel(net.Take(), {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(TensorNamed(*plan, "concat").layout.IsIdentity());
  EXPECT_TRUE(TensorNamed(*plan, "conv").layout.IsIdentity());
}

TEST(PlanTest, ConcatenationCopiesWhatItMayNotPlace) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int a = net.Conv(x, 8, 3);
  const int inner = net.Concat({x, a}, 1);         // an input
  const int outer = net.Concat({a, inner, a}, 1);  // placed already, and twice
  net.Output("y", outer);
  net.Output("z", net.Concat({net.Conv(x, 2, 1), net.Conv(x, 2, 1)}, 3));  // not contiguous
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const PlanTensor& tensor : plan->tensors) {
    if (tensor.part_of >= 0) {
      EXPECT_EQ(plan->tensors[tensor.part_of].part_of, -1);
    }
  }
  const Tensor in = Random({1, 8, 6, 6}, 9);
  const auto outputs = EvaluatePlan(*plan, {{"x", in}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const Tensor& y = outputs->at("y");
  EXPECT_EQ(y.Get(8 * 36 + 5), in.Get(5));
  EXPECT_EQ(y.Get(5), y.Get(16 * 36 + 5));
  EXPECT_EQ(y.Get(5), y.Get(24 * 36 + 5));
}

TEST(PlanTest, ReshapesAreViews) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  const int a = net.Conv(x, 8, 3);
  net.Output("y", net.Reshape(a, {8, 36}));
  net.Output("z", net.Reshape(x, {36, 8}));  // an input cannot lie in an output: copied
  const Graph graph = net.Take();
  const auto plan = PlanModel(graph, {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 2u);
  EXPECT_EQ(plan->tensors[TensorNamed(*plan, "conv").part_of].name, "y");
  EXPECT_TRUE(TensorNamed(*plan, "conv").layout.IsIdentity());
  ExpectSameValues(graph, *plan);
}

TEST(PlanTest, LayoutsSplitKernels) {
  Net net;
  const int x = net.Input("x", {1, 8, 6, 6});
  int v = x;
  for (int i = 0; i < 4; ++i) v = net.Elementwise({net.Conv(v, 8, 3)}, Relu(V(0)));
  net.Output("y", v);
  const auto plan = PlanModel(net.Take(), {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  // One workload in three sets of layouts: from the input, between, to the output.
  ASSERT_EQ(plan->kernels.size(), 3u);
  EXPECT_EQ(plan->calls[1].kernel, plan->calls[2].kernel);
  EXPECT_EQ(plan->kernels[0].workload.Key(), plan->kernels[1].workload.Key());
  EXPECT_NE(plan->kernels[0].Key(), plan->kernels[1].Key());
  EXPECT_NE(plan->kernels[0].name, plan->kernels[1].name);
  EXPECT_TRUE(plan->kernels[0].layouts[0].IsIdentity());
  EXPECT_EQ(plan->kernels[1].layouts[0].ToString(), "0,1/8,2,3,1%8");
  EXPECT_EQ(TensorNamed(*plan, "x").Bytes(), 8 * 36 * 4);
}

// A block of channels must lie within a group.
TEST(PlanTest, ChannelsInGroupsOfWholeBlocksAreBlocked) {
  const auto layout = [](int64_t groups) {
    Net net;
    const int x = net.Conv(net.Input("x", {1, 8, 6, 6}), 32, 1);
    const int w = net.builder().Constant(Random({32, 32 / groups, 3, 3}, 7), "w");
    const ConvolutionOp grouped{.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
                                .groups = groups};
    const int y = *net.builder().Add("grouped", grouped, {x, w});
    net.Output("y", net.Conv(net.Elementwise({y}, Relu(V(0))), 8, 1));
    const Graph graph = net.Take();
    const auto plan = PlanModel(graph, {.lanes = 8});
    EXPECT_TRUE(plan.ok()) << plan.status();
    ExpectSameValues(graph, *plan);
    return plan->kernels[1].layouts[0].ToString();
  };
  EXPECT_EQ(layout(4), "0,1,2/8,3,4,2%8");
  EXPECT_EQ(layout(8), "0,1,2,3,4");
}

TEST(PlanTest, BuilderComputesWhatIsKnown) {
  Net net;
  GraphBuilder& builder = net.builder();
  const int a = builder.Constant(Tensor::Ints({2}, {3, 4}));
  const int b = builder.Constant(Tensor::Ints({1}, {10}));
  const Expr v0 = EpilogueOperand(0, DType::kI64);
  const Expr v1 = EpilogueOperand(1, DType::kI64);
  const auto sum = builder.Elementwise("sum", {a, b}, v0 + v1);
  ASSERT_TRUE(sum.ok()) << sum.status();
  ASSERT_NE(builder.ConstantOf(*sum), nullptr);
  EXPECT_THAT(builder.ConstantOf(*sum)->ToInts(), ElementsAre(13, 14));
  EXPECT_THAT(builder.Reshape("r", a, {3}).status().message(),
              HasSubstr("i64[2] has not as many elements as [3]"));
}

}  // namespace
}  // namespace hone
