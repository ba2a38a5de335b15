// A model whose batch stays open, from graph to results: planned for a range, compiled with the
// default schedules of its top and as plain loops, packaged, and run at every size.
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/graph_builder.h"
#include "compiler/graph/plan_for_ranges.h"
#include "compiler/graph/plan_model.h"
#include "compiler/package/build_package.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/hone.h"
#include "tests/package/tiny_model.h"
#include "tuner/prior/prior.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr int64_t kBatchMax = 9;

Tensor Random(const std::vector<int64_t>& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Tensor tensor = Tensor::Zeros(DType::kF32, shape);
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, uniform(random));
  return tensor;
}

int Constant(GraphBuilder& g, const std::vector<int64_t>& shape, uint32_t seed) {
  return g.Constant(Random(shape, seed), "w");
}

// Two convolutions, a pool and a dense layer; the outputs are the classes and the features, of
// which `features` is a copy of what the pool gives.
StatusOr<ModelPlan> PlanAtBatch(int64_t batch) {
  GraphBuilder g("open");
  const Expr v0 = EpilogueOperand(0, DType::kF32), v1 = EpilogueOperand(1, DType::kF32);
  const int x = g.Input("x", {DType::kF32, {batch, 3, 8, 8}});
  const int more = g.Input("more", {DType::kF32, {batch, 16}});
  const ConvolutionOp conv{.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  int y = *g.Add("conv1", conv, {x, Constant(g, {16, 3, 3, 3}, 1)});
  y = *g.Elementwise("relu", {y}, Max(v0, Float(0)));
  y = *g.Add("conv2", conv, {y, Constant(g, {16, 16, 3, 3}, 2)});
  y = *g.Add("mean", ReductionOp{Combiner::kSum, {false, false, true, true}}, {y});
  y = *g.Reshape("flat", y, {batch, 16});
  y = *g.Elementwise("add", {y, more}, v0 + v1);
  HONE_RETURN_IF_ERROR(g.Output("features", y));
  y = *g.Add("dense", MatMulOp{}, {y, Constant(g, {16, 10}, 3)});
  y = *g.Elementwise("bias", {y, Constant(g, {10}, 4)}, v0 + v1);
  HONE_RETURN_IF_ERROR(g.Output("classes", *g.Add("softmax", SoftmaxOp{1, 1}, {y})));
  return PlanModel(std::move(g).Take(), {.lanes = 8});
}

enum class Schedules { kDefault, kPlainLoops };

StatusOr<std::string> MakePackage(Schedules schedules) {
  const Target target = MachineTarget();
  HONE_ASSIGN_OR_RETURN(const ModelPlan plan,
                        PlanForRanges({{"batch", 0, kBatchMax}},
                                      [](const auto& values) { return PlanAtBatch(values[0]); }));
  std::vector<pb::Artifact> artifacts;
  for (const PlanKernel& kernel : plan.kernels) {
    HONE_ASSIGN_OR_RETURN(
        Schedule schedule,
        Schedule::Parse(
            absl::StrCat("schedule/1\n", BoundaryLayoutLines(kernel.workload, kernel.layouts)),
            "plain"));
    if (schedules == Schedules::kDefault) {
      const PlanKernel top = AtTop(kernel);
      HONE_ASSIGN_OR_RETURN(schedule, DefaultSchedule(top.workload, top.layouts, target));
    }
    HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, Compile(kernel.workload, schedule, target));
    artifacts.push_back(std::move(artifact));
  }
  return BuildPackage(plan, artifacts, target);
}

class Model {
 public:
  explicit Model(const std::string& bytes) : file_("open.so", bytes) {
    model_ = hone_model_load(file_.path().c_str(), nullptr, &error);
    EXPECT_NE(model_, nullptr) << error.message;
  }
  ~Model() { hone_model_free(model_); }
  hone_model* get() const { return model_; }
  hone_error_code SetShape(int index, const std::vector<int64_t>& shape) {
    return hone_model_set_input_shape(model_, index, shape.data(), static_cast<int>(shape.size()),
                                      &error);
  }
  hone_error error = {};

 private:
  TemporaryFile file_;
  hone_model* model_ = nullptr;
};

class OpenSizes : public testing::TestWithParam<Schedules> {};

TEST_P(OpenSizes, ComputeTheSameAsAModelOfThatSize) {
  const StatusOr<std::string> bytes = MakePackage(GetParam());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  Model model(*bytes);
  for (const int64_t batch : {9, 1, 0, 2, 3, 4, 5, 6, 7, 8, 0, 9}) {
    SCOPED_TRACE(batch);
    ASSERT_EQ(model.SetShape(0, {batch, 3, 8, 8}), HONE_OK) << model.error.message;
    const std::map<std::string, Tensor> inputs = {{"x", Random({batch, 3, 8, 8}, 7)},
                                                  {"more", Random({batch, 16}, 8)}};
    int index = 0;
    for (const char* name : {"x", "more"}) {
      const Tensor& input = inputs.at(name);
      ASSERT_EQ(hone_model_set_input(model.get(), index++, input.bytes.data(), input.Bytes(),
                                     &model.error),
                HONE_OK)
          << model.error.message;
    }
    ASSERT_EQ(hone_model_run(model.get(), &model.error), HONE_OK) << model.error.message;
    std::map<std::string, Tensor> expected = {{"features", Tensor::Zeros(DType::kF32, {0, 16})},
                                              {"classes", Tensor::Zeros(DType::kF32, {0, 10})}};
    if (batch > 0) {
      const StatusOr<ModelPlan> plan = PlanAtBatch(batch);
      ASSERT_TRUE(plan.ok()) << plan.status();
      const auto values = EvaluatePlan(*plan, inputs);
      ASSERT_TRUE(values.ok()) << values.status();
      expected = *values;
    }
    for (int i = 0; i < hone_model_output_count(model.get()); ++i) {
      hone_tensor_info info = {};
      ASSERT_EQ(hone_model_output_info(model.get(), i, &info, &model.error), HONE_OK);
      Tensor actual =
          Tensor::Zeros(DType::kF32, std::vector<int64_t>(info.shape, info.shape + info.rank));
      ASSERT_EQ(
          hone_model_get_output(model.get(), i, actual.bytes.data(), actual.Bytes(), &model.error),
          HONE_OK)
          << model.error.message;
      const auto difference =
          CompareTensors(actual, expected.at(info.name), {.rtol = 1e-4, .atol = 1e-4});
      ASSERT_TRUE(difference.ok()) << difference.status();
      EXPECT_EQ(difference->outside, 0) << info.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, OpenSizes, testing::Values(Schedules::kDefault, Schedules::kPlainLoops),
                         [](const auto& info) {
                           return info.param == Schedules::kDefault ? "DefaultSchedules"
                                                                    : "PlainLoops";
                         });

TEST(OpenModel, AModelBeginsAtTheTopAndAllInputsFollowOne) {
  const StatusOr<std::string> bytes = MakePackage(Schedules::kPlainLoops);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  Model model(*bytes);
  hone_tensor_info x = {}, more = {};
  ASSERT_EQ(hone_model_input_info(model.get(), 0, &x, nullptr), HONE_OK);
  EXPECT_EQ(x.shape[0], kBatchMax);
  EXPECT_EQ(x.bytes, kBatchMax * 3 * 8 * 8 * 4);
  const Tensor values = Random({kBatchMax, 16}, 1);
  ASSERT_EQ(hone_model_set_input(model.get(), 1, values.bytes.data(), values.Bytes(), &model.error),
            HONE_OK);
  ASSERT_EQ(model.SetShape(0, {2, 3, 8, 8}), HONE_OK) << model.error.message;
  ASSERT_EQ(hone_model_input_info(model.get(), 1, &more, nullptr), HONE_OK);
  EXPECT_EQ(more.shape[0], 2);
  EXPECT_EQ(more.bytes, 2 * 16 * 4);
  // What was set for the old shape does not count.
  const Tensor picture = Random({2, 3, 8, 8}, 1);
  ASSERT_EQ(
      hone_model_set_input(model.get(), 0, picture.bytes.data(), picture.Bytes(), &model.error),
      HONE_OK);
  EXPECT_EQ(hone_model_run(model.get(), &model.error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(model.error.message, HasSubstr("'more') was never set"));
}

TEST(OpenModel, RefusesShapesOutsideTheRange) {
  const StatusOr<std::string> bytes = MakePackage(Schedules::kPlainLoops);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  Model model(*bytes);
  for (const std::vector<int64_t>& wrong :
       {std::vector<int64_t>{10, 3, 8, 8}, {-1, 3, 8, 8}, {2, 4, 8, 8}, {2, 3, 8}}) {
    EXPECT_EQ(model.SetShape(0, wrong), HONE_ERROR_ARGUMENT);
    EXPECT_THAT(model.error.message, HasSubstr("'x' has the shape [0..9,3,8,8]"));
  }
  EXPECT_EQ(model.SetShape(2, {1}), HONE_ERROR_ARGUMENT);
  hone_tensor_info x = {};
  ASSERT_EQ(hone_model_input_info(model.get(), 0, &x, nullptr), HONE_OK);
  EXPECT_EQ(x.shape[0], kBatchMax);
}

}  // namespace
}  // namespace hone
