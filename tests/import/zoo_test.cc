#include "compiler/import/zoo.h"

#include <cmath>

#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::HasSubstr;

StatusOr<ModelPlan> PlanOf(absl::string_view name) {
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ZooModel(name, 7));
  HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnx(bytes, {}));
  return PlanModel(std::move(graph), {.lanes = 8});
}

double FlopsOf(const ModelPlan& plan) {
  double flops = 0;
  for (const PlanCall& call : plan.calls) flops += FlopCount(plan.kernels[call.kernel].workload);
  return flops;
}

// A picture of smooth waves, normalised as pictures are.
Tensor Picture(const std::vector<int64_t>& shape) {
  Tensor picture = Tensor::Zeros(DType::kF32, shape);
  for (int64_t i = 0; i < picture.ElementCount(); ++i) {
    picture.Set(i, std::sin(0.013 * static_cast<double>(i)));
  }
  return picture;
}

TEST(ZooTest, EqualSeedsGiveEqualBytes) {
  EXPECT_EQ(*ZooModel("tiny", 1), *ZooModel("tiny", 1));
  EXPECT_NE(*ZooModel("tiny", 1), *ZooModel("tiny", 2));
}

TEST(ZooTest, AnUnknownNameListsTheKnownOnes) {
  EXPECT_EQ(ZooModel("alexnet", 1).status().message(),
            "the zoo has no 'alexnet'; it has mobilenetv2, resnet18, resnet50, squeezenet, tiny");
}

TEST(ZooTest, NetworksHaveTheirRealSize) {
  struct Known {
    const char* name;
    double gmacs;
    size_t calls;  // one a convolution (21 in ResNet-18), pool, mean and dense layer
  };
  for (const Known& known : {Known{"resnet18", 1.81, 23}, Known{"resnet50", 4.09, 56},
                             Known{"mobilenetv2", 0.30, 54}, Known{"squeezenet", 0.35, 30}}) {
    const auto plan = PlanOf(known.name);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_NEAR(FlopsOf(*plan) / 2e9, known.gmacs, 0.03 * known.gmacs + 0.01) << known.name;
    EXPECT_EQ(plan->calls.size(), known.calls) << known.name;
  }
}

TEST(ZooTest, OutputsAreOfOrdinaryMagnitude) {
  for (const ZooEntry& entry : ZooEntries()) {
    if (entry.name == "resnet50") continue;  // as ResNet-18, and slow
    const auto plan = PlanOf(entry.name);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto outputs =
        EvaluatePlan(*plan, {{"input", Picture(plan->tensors[plan->inputs[0]].shape)}});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    double largest = 0;
    double sum = 0;
    const std::vector<double> values = outputs->at("output").ToDoubles();
    for (double value : values) {
      largest = std::max(largest, std::abs(value));
      sum += value * value;
    }
    EXPECT_LT(largest, 100) << entry.name;
    EXPECT_GT(std::sqrt(sum / static_cast<double>(values.size())), 1e-3) << entry.name;
  }
}

TEST(ZooTest, ResNet18SharesItsKernels) {
  const auto plan = PlanOf("resnet18");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->kernels.size(), 18u);
  const PlanKernel& residual = plan->kernels[3];
  EXPECT_EQ(residual.workload.ToString(),
            "workload/1\n"
            "input x f32 [1,64,56,56]\n"
            "constant w f32 [64,64,3,3]\n"
            "constant b f32 [64]\n"
            "input r f32 [1,64,56,56]\n"
            "output y f32 [1,64,56,56]\n"
            "stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = "
            "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
            "stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w]+b[o]+r[n,o,h,w],0x0p+0)\n");
  EXPECT_EQ(residual.layouts[0].ToString(), "0,1/8,2,3,1%8");
  EXPECT_EQ(residual.layouts[4].ToString(), "0,1/8,2,3,1%8");
}

}  // namespace
}  // namespace hone
