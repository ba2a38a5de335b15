// Real models through importer, passes and the oracle, against ONNX Runtime's outputs.
#include <filesystem>
#include <ostream>

#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "gtest/gtest.h"
#include "tests/import/shared_models.h"

namespace hone {
namespace {

struct RealModel {
  std::string file;  // below onnx/
  std::string data;  // below ref/, with test_data_set_0 in it
  ImportOptions options;
  Tolerance tolerance;
  bool shapes_from_data = false;  // its inputs have no shapes but what the data set gives them
};

void PrintTo(const RealModel& model, std::ostream* out) { *out << model.data; }

class ModelsTest : public testing::TestWithParam<RealModel> {};

TEST_P(ModelsTest, OracleAgreesWithOnnxRuntime) {
  const RealModel& model = GetParam();
  const std::string models = SharedDir() + "/models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << models << " is absent";
  const std::string folder = models + "/ref/" + model.data + "/test_data_set_0";
  const auto inputs = ReadDataSet(folder, "input");
  const auto expected = ReadDataSet(folder, "output");
  ASSERT_TRUE(inputs.ok() && expected.ok()) << inputs.status() << expected.status();
  ImportOptions options = model.options;
  if (model.shapes_from_data) {
    for (const NamedTensor& input : *inputs) options.input_shapes[input.name] = input.tensor.shape;
  }
  auto graph = ImportOnnxFile(models + "/onnx/" + model.file, options);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto plan = PlanModel(*std::move(graph), {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const PlanKernel& kernel : plan->kernels) {
    EXPECT_TRUE(kernel.workload.Verify().ok()) << kernel.workload.Verify();
  }
  ASSERT_EQ(inputs->size(), plan->inputs.size() + options.fixed_inputs.size());
  ASSERT_EQ(expected->size(), plan->outputs.size());
  std::map<std::string, Tensor> values;
  size_t next = 0;
  for (const NamedTensor& input : *inputs) {
    if (options.fixed_inputs.contains(input.name)) continue;
    values[plan->tensors[plan->inputs[next++]].name] = input.tensor;
  }
  const auto outputs = EvaluatePlan(*plan, values);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t k = 0; k < expected->size(); ++k) {
    const std::string& name = plan->tensors[plan->outputs[k]].name;
    const auto difference =
        CompareTensors(outputs->at(name), (*expected)[k].tensor, model.tolerance);
    ASSERT_TRUE(difference.ok()) << difference.status();
    EXPECT_EQ(difference->outside, 0)
        << name << ": largest error " << difference->largest_absolute << ": "
        << difference->worst_actual << " where " << difference->worst_expected << " was expected";
  }
}

// A file of ONNX's first days: no opset import, so the rules of opset 1. ONNX Runtime refuses it.
TEST(OldModelsTest, AModelWithoutAnOpsetUpscalesThePicture) {
  const std::string models = SharedDir() + "/models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << models << " is absent";
  auto graph = ImportOnnxFile(models + "/onnx/super_resolution_tvm.onnx", {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto plan = PlanModel(*std::move(graph), {.lanes = 8});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto inputs =
      ReadDataSet(models + "/ref/super_resolution_tvm/cat/test_data_set_0", "input");
  ASSERT_TRUE(inputs.ok() && inputs->size() == 1) << inputs.status();
  const auto outputs =
      EvaluatePlan(*plan, {{plan->tensors[plan->inputs[0]].name, (*inputs)[0].tensor}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const Tensor& picture = outputs->begin()->second;
  EXPECT_EQ(ShapeText(picture.shape), "[1,1,672,672]");
  double mean = 0;
  for (double value : picture.ToDoubles()) mean += value;
  mean /= static_cast<double>(picture.ElementCount());
  EXPECT_NEAR(mean, 0.52, 0.05);
}

constexpr Tolerance kSingle{.rtol = 1e-3, .atol = 1e-5};
constexpr Tolerance kHalf{.rtol = 2e-2, .atol = 1e-3};

INSTANTIATE_TEST_SUITE_P(
    Real, ModelsTest,
    testing::Values(
        RealModel{"mnist-8.onnx", "mnist-8/t10k_0", {}, kSingle},
        RealModel{"super_resolution_10.onnx",
                  "super_resolution_10/cat",
                  {.dims = {{"batch_size", 1}}},
                  kSingle},
        RealModel{"squeezenet_fp16.onnx", "squeezenet_fp16/cat", {}, kHalf},
        RealModel{
            "speech_recog.onnx", "speech_recog/random", {.dims = {{"batch_size", 1}}}, kSingle},
        RealModel{
            "ch_PP-OCRv2_det_infer.onnx", "ch_PP-OCRv2_det/ocr_sample", {}, {1e-3, 1e-4}, true},
        RealModel{"basic_pitch_nmp.onnx", "basic_pitch_nmp/vocadito_10", {}, {1e-3, 1e-4}, true},
        RealModel{"oww_embedding_model.onnx", "oww_embedding/random", {}, {1e-3, 1e-3}, true},
        RealModel{"silero_vad_op18_ifless.onnx",
                  "silero_vad_op18_ifless/speech",
                  {.fixed_inputs = {{"sr", Tensor::Ints({}, {16000})}}},
                  {1e-3, 1e-4},
                  true},
        RealModel{"yolox_nano.onnx", "yolox_nano/darknet_dog", {}, {1e-3, 1e-4}},
        RealModel{"ultraface_version-RFB-320.onnx",
                  "ultraface_version-RFB-320/ultraface_1",
                  {},
                  kSingle}),
    [](const auto& info) {
      std::string name;
      for (char c : info.param.data) name += std::isalnum(c) ? c : '_';
      return name;
    });

}  // namespace
}  // namespace hone
