// Blocks of networks that normalise and activate before they convolve, from graph to results: what
// their convolutions took as prologues computes what the graph says node by node.
#include <map>
#include <random>

#include "compiler/compile.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/graph_builder.h"
#include "compiler/graph/partition.h"
#include "compiler/graph/plan_model.h"
#include "compiler/package/build_package.h"
#include "gtest/gtest.h"
#include "runtime/hone.h"
#include "tests/package/tiny_model.h"
#include "tuner/prior/prior.h"

namespace hone {
namespace {

Expr V(int i) { return EpilogueOperand(i, DType::kF32); }

// Builds blocks of images; every step is known to fit.
class Net {
 public:
  Net() : builder_("blocks") {}
  int Input(const std::vector<int64_t>& shape) { return builder_.Input("x", {DType::kF32, shape}); }
  int64_t ChannelsOf(int x) const { return builder_.ShapeOf(x)[1]; }
  int Conv(int x, int64_t out, int64_t taps) {
    const int64_t pad = taps / 2;
    const ConvolutionOp op{.window = {{taps, taps}, {1, 1}, {1, 1}, {pad, pad}, {pad, pad}}};
    return *builder_.Add("conv", op, {x, Constant({out, ChannelsOf(x), taps, taps})});
  }
  // A normalisation whose statistics are known, and its activation.
  int Activate(int x) {
    const int64_t channels = ChannelsOf(x);
    const int scaled = *builder_.Elementwise(
        "norm", {x, Constant({channels, 1, 1}), Constant({channels, 1, 1})}, V(0) * V(1) + V(2));
    return *builder_.Elementwise("relu", {scaled}, Max(V(0), Float(0)));
  }
  int Add(int a, int b) { return *builder_.Elementwise("add", {a, b}, V(0) + V(1)); }
  int Concat(int a, int b) { return *builder_.Add("concat", ConcatOp{1}, {a, b}); }
  int Pool(int x) {
    return *builder_.Add("pool", PoolingOp{.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}},
                         {x});
  }
  int Mean(int x) {
    return *builder_.Add("mean", ReductionOp{Combiner::kSum, {false, false, true, true}}, {x});
  }
  Graph Take(int output) {
    EXPECT_TRUE(builder_.Output("y", output).ok());
    return std::move(builder_).Take();
  }
  static Tensor Random(const std::vector<int64_t>& shape, uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    Tensor tensor = Tensor::Zeros(DType::kF32, shape);
    for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, uniform(random));
    return tensor;
  }

 private:
  int Constant(const std::vector<int64_t>& shape) {
    return builder_.Constant(Random(shape, ++seed_), "w");
  }
  GraphBuilder builder_;
  uint32_t seed_ = 0;
};

// What the packaged plan gives for `x`.
StatusOr<Tensor> RunPackaged(const ModelPlan& plan, const Tensor& x) {
  const Target target = MachineTarget();
  std::vector<pb::Artifact> artifacts;
  for (const PlanKernel& kernel : plan.kernels) {
    HONE_ASSIGN_OR_RETURN(const Schedule schedule,
                          DefaultSchedule(kernel.workload, kernel.layouts, target));
    HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, Compile(kernel.workload, schedule, target));
    artifacts.push_back(std::move(artifact));
  }
  HONE_ASSIGN_OR_RETURN(const std::string bytes, BuildPackage(plan, artifacts, target));
  const TemporaryFile file("blocks.so", bytes);
  hone_error error = {};
  hone_model* model = hone_model_load(file.path().c_str(), nullptr, &error);
  if (model == nullptr) return absl::InternalError(error.message);
  Tensor y = Tensor::Zeros(DType::kF32, plan.tensors[plan.outputs[0]].shape);
  const bool ran = hone_model_set_input(model, 0, x.bytes.data(), x.Bytes(), &error) == HONE_OK &&
                   hone_model_run(model, &error) == HONE_OK &&
                   hone_model_get_output(model, 0, y.bytes.data(), y.Bytes(), &error) == HONE_OK;
  hone_model_free(model);
  if (!ran) return absl::InternalError(error.message);
  return y;
}

// The number of calls after fusion, once they were seen to compute what the graph does.
size_t CallsOf(const Graph& graph, int64_t lanes) {
  const Tensor x = Net::Random(graph.ShapeOf(graph.inputs[0]), 99);
  const StatusOr<ModelPlan> plan = PlanModel(graph, {.lanes = lanes});
  EXPECT_TRUE(plan.ok()) << plan.status();
  const StatusOr<Tensor> actual = RunPackaged(*plan, x);
  const auto expected = EvaluatePlan(Partition(graph), {{"x", x}});
  EXPECT_TRUE(actual.ok() && expected.ok()) << actual.status() << expected.status();
  const auto difference = CompareTensors(*actual, expected->at("y"), {.rtol = 1e-4, .atol = 1e-4});
  EXPECT_TRUE(difference.ok() && difference->outside == 0);
  return plan->calls.size();
}

class PrologueBlocks : public testing::TestWithParam<int64_t> {};  // lanes of blocked images

TEST_P(PrologueBlocks, OfAPreActivationResNet) {
  Net net;
  int x = net.Conv(net.Input({1, 16, 9, 10}), 32, 1);
  for (int block = 0; block < 2; ++block) {
    int t = net.Conv(net.Activate(x), 16, 1);  // 1: the activation in front joins it
    t = net.Conv(net.Activate(t), 16, 3);      // what follows a convolution joins that
    x = net.Add(net.Conv(net.Activate(t), 32, 1), x);
  }
  const Graph graph = net.Take(net.Mean(net.Activate(x)));
  EXPECT_EQ(CallsOf(graph, GetParam()), 1u + 2 * 3 + 1);
}

TEST_P(PrologueBlocks, OfADenseNet) {
  Net net;
  int x = net.Conv(net.Input({1, 8, 9, 10}), 16, 3);
  for (int layer = 0; layer < 3; ++layer) {
    const int t = net.Conv(net.Activate(x), 32, 1);
    x = net.Concat(x, net.Conv(net.Activate(t), 8, 3));
  }
  x = net.Conv(net.Activate(x), 24, 1);  // without anything after it
  const Graph graph = net.Take(net.Pool(net.Activate(net.Concat(x, x))));
  const auto plan = PlanModel(graph, {.lanes = GetParam()});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const PlanKernel& kernel : plan->kernels) {
    EXPECT_EQ(kernel.name.find("elementwise"), std::string::npos) << kernel.name;
  }
  CallsOf(graph, GetParam());
}

INSTANTIATE_TEST_SUITE_P(, PrologueBlocks, testing::Values(1, 8), [](const auto& info) {
  return info.param == 1 ? "PlainImages" : "BlockedImages";
});

}  // namespace
}  // namespace hone
