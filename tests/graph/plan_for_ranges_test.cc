#include "compiler/graph/plan_for_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/graph/graph_builder.h"
#include "compiler/graph/plan_model.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Build = std::function<void(GraphBuilder&, const std::vector<int64_t>&)>;

StatusOr<ModelPlan> PlanRanges(const std::vector<Param>& params, const Build& build) {
  return PlanForRanges(params, [&](const std::vector<int64_t>& values) {
    GraphBuilder builder("net");
    build(builder, values);
    return PlanModel(std::move(builder).Take(), {.lanes = 8});
  });
}

std::string ErrorOf(const std::vector<Param>& params, const Build& build) {
  return std::string(PlanRanges(params, build).status().message());
}

Expr V(int i) { return EpilogueOperand(i, DType::kF32); }

int Input(GraphBuilder& g, const std::string& name, const std::vector<int64_t>& shape) {
  return g.Input(name, {DType::kF32, shape});
}

int Dense(GraphBuilder& g, int x, int64_t out) {
  const int w = g.Constant(Tensor::Zeros(DType::kF32, {g.ShapeOf(x).back(), out}), "w");
  const int bias = g.Constant(Tensor::Zeros(DType::kF32, {out}), "b");
  const int y = *g.Add("dense", MatMulOp{}, {x, w});
  return *g.Elementwise("relu", {y, bias}, Max(V(0) + V(1), Float(0)));
}

void Mlp(GraphBuilder& g, const std::vector<int64_t>& values) {
  const int x = Input(g, "x", {values[0], 4, 6});
  EXPECT_TRUE(g.Output("y", Dense(g, Dense(g, x, 16), 3)).ok());
}

TEST(PlanForRanges, GivesKernelsTheSizesThatStayOpen) {
  const StatusOr<ModelPlan> plan = PlanRanges({{"batch", 0, 8}}, Mlp);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->params, ElementsAre(Param{"batch", 0, 8}));
  ASSERT_EQ(plan->calls.size(), 2);
  const PlanCall& call = plan->calls[0];
  const Workload& workload = plan->kernels[call.kernel].workload;
  EXPECT_THAT(workload.ToString(), HasSubstr("workload/1\nparam M 0..32\ninput x f32 [M,6]\n"));
  EXPECT_TRUE(workload.Verify().ok()) << workload.Verify();
  ASSERT_EQ(call.params.size(), 1);  // rows: four an image
  EXPECT_EQ(call.params[0].top, 32);
  EXPECT_EQ(call.params[0].scale, 4);
  EXPECT_EQ(call.params[0].param, 0);
  const PlanTensor& y = plan->tensors[plan->outputs[0]];
  EXPECT_THAT(y.shape, ElementsAre(8, 4, 3));
  EXPECT_EQ(y.run_time_shape[0].scale, 1);
  EXPECT_EQ(y.run_time_shape[1].param, -1);
}

TEST(PlanForRanges, IsAtItsTopTheOrdinaryPlan) {
  const StatusOr<ModelPlan> open = PlanRanges({{"batch", 1, 8}}, Mlp);
  ASSERT_TRUE(open.ok()) << open.status();
  GraphBuilder builder("net");
  Mlp(builder, {8});
  const StatusOr<ModelPlan> fixed = PlanModel(std::move(builder).Take(), {.lanes = 8});
  ASSERT_EQ(open->kernels.size(), fixed->kernels.size());
  for (size_t k = 0; k < open->kernels.size(); ++k) {
    EXPECT_EQ(AtTop(open->kernels[k]).Key(), fixed->kernels[k].Key());
    EXPECT_NE(open->kernels[k].Key(), fixed->kernels[k].Key());
  }
}

TEST(PlanForRanges, KeepsKernelsApartThatAreEqualOnlyAtTheTop) {
  const StatusOr<ModelPlan> plan =
      PlanRanges({{"batch", 1, 8}}, [](GraphBuilder& g, const std::vector<int64_t>& values) {
        EXPECT_TRUE(g.Output("y", Dense(g, Input(g, "x", {values[0], 6}), 3)).ok());
        EXPECT_TRUE(g.Output("z", Dense(g, Input(g, "u", {8, 6}), 3)).ok());
      });
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->kernels.size(), 2);
  EXPECT_NE(plan->kernels[0].name, plan->kernels[1].name);
  EXPECT_EQ(plan->calls[0].params.size() + plan->calls[1].params.size(), 1);
}

TEST(PlanForRanges, TakesSeveralRanges) {
  const StatusOr<ModelPlan> plan = PlanRanges(
      {{"a", 1, 2}, {"b", 3, 9}}, [](GraphBuilder& g, const std::vector<int64_t>& values) {
        EXPECT_TRUE(g.Output("y", Dense(g, Input(g, "x", {values[0], 6}), 3)).ok());
        EXPECT_TRUE(g.Output("z", Dense(g, Input(g, "u", {values[1], 6}), 3)).ok());
      });
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls[0].params[0].param, 0);
  EXPECT_EQ(plan->calls[1].params[0].param, 1);
  EXPECT_EQ(plan->kernels[plan->calls[1].kernel].workload.params[0], (Param{"M", 3, 9}));
}

TEST(PlanForRanges, RefusesWhatDoesNotGrowEvenly) {
  EXPECT_THAT(ErrorOf({{"a", 1, 8}, {"b", 1, 8}},
                      [](GraphBuilder& g, const std::vector<int64_t>& values) {
                        const int x = Input(g, "x", {values[0], values[1], 6});
                        EXPECT_TRUE(g.Output("y", Dense(g, x, 3)).ok());
                      }),
              HasSubstr("does not grow evenly with one open dimension"));
  EXPECT_THAT(ErrorOf({{"n", 1, 8}},
                      [](GraphBuilder& g, const std::vector<int64_t>& values) {
                        const int x = Input(g, "x", {values[0], values[0]});
                        const int y = *g.Reshape("r", x, {values[0] * values[0]});
                        EXPECT_TRUE(g.Output("y", y).ok());
                      }),
              HasSubstr("--shape n=8"));
}

TEST(PlanForRanges, RefusesWhatIsComputedDifferentlyAtOtherSizes) {
  // A single row broadcasts to the four of the other input, two rows do not.
  EXPECT_THAT(ErrorOf({{"n", 1, 4}},
                      [](GraphBuilder& g, const std::vector<int64_t>& values) {
                        const int x = Input(g, "x", {values[0], 6});
                        const int u = Input(g, "u", {values[0] == 1 ? 4 : values[0], 6});
                        const int y = *g.Elementwise("add", {x, u}, V(0) + V(1));
                        EXPECT_TRUE(g.Output("y", y).ok());
                      }),
              HasSubstr("computed differently for n=1 and for n=4"));
  // A factor that depends on the size.
  EXPECT_THAT(ErrorOf({{"n", 1, 4}},
                      [](GraphBuilder& g, const std::vector<int64_t>& values) {
                        const int x = Input(g, "x", {values[0], 6});
                        const Expr factor = Float(1.0 / static_cast<double>(values[0]));
                        EXPECT_TRUE(g.Output("y", *g.Elementwise("m", {x}, V(0) * factor)).ok());
                      }),
              HasSubstr("computed differently"));
}

TEST(PlanForRanges, SaysAtWhichSizeAModelCannotBePlanned) {
  const Status status =
      PlanForRanges({{"n", 1, 8}}, [](const std::vector<int64_t>& values) -> StatusOr<ModelPlan> {
        if (values[0] != 8) return absl::InvalidArgumentError("no such size");
        return ModelPlan();
      }).status();
  EXPECT_EQ(status.message(), "at n=7: no such size");
}

TEST(PlanForRanges, RefusesRangesThatAreNone) {
  for (const Param& param : {Param{"n", 3, 3}, Param{"n", -1, 4}, Param{"n", 0, 1}}) {
    EXPECT_THAT(ErrorOf({param}, Mlp), HasSubstr("the range n="));
  }
}

}  // namespace
}  // namespace hone
