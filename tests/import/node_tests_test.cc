// ONNX's conformance tests through importer, passes and the oracle. A test passes, is refused with
// a message (an operator, type or mode that hone lacks), or is wrong; nothing may be wrong but what
// is listed here with its reason, and no fewer may pass than once did.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "base/file.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "gtest/gtest.h"
#include "tests/import/shared_models.h"

namespace hone {
namespace {

constexpr int kPassesAtLeast = 975;

struct Outcome {
  enum Kind { kPass, kRefused, kWrong } kind = kPass;
  std::string detail;
};

StatusOr<ModelPlan> PlanOf(const std::string& bytes, const ImportOptions& options) {
  HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnx(bytes, options));
  return PlanModel(std::move(graph), {.lanes = 8});
}

Outcome RunOne(const std::string& folder) {
  const auto bytes = ReadFile(folder + "/model.onnx");
  if (!bytes.ok()) return {Outcome::kWrong, bytes.status().ToString()};
  const auto inputs = ReadDataSet(folder + "/test_data_set_0", "input");
  const auto expected = ReadDataSet(folder + "/test_data_set_0", "output");
  if (!inputs.ok() || !expected.ok()) return {Outcome::kRefused, "its data is no tensors"};
  auto plan = PlanOf(*bytes, {});
  std::map<std::string, Tensor> values;
  for (const NamedTensor& input : *inputs) values[input.name] = input.tensor;
  if (!plan.ok()) {
    // Shapes, axes and the like come as inputs here; models have them as constants.
    ImportOptions options;
    for (const NamedTensor& input : *inputs) {
      const bool shape_like = !IsFloat(input.tensor.dtype) || input.tensor.ElementCount() <= 8;
      if (shape_like && &input != &inputs->front()) options.fixed_inputs[input.name] = input.tensor;
    }
    plan = PlanOf(*bytes, options);
    if (!plan.ok()) {
      options.fixed_inputs[inputs->empty() ? "" : inputs->front().name] =
          inputs->empty() ? Tensor{} : inputs->front().tensor;
      plan = PlanOf(*bytes, options);
    }
  }
  if (!plan.ok()) return {Outcome::kRefused, std::string(plan.status().message())};
  // Some files do not say which input they are: then the k-th is the model's k-th.
  if (plan->inputs.size() == inputs->size()) {
    for (size_t k = 0; k < inputs->size(); ++k) {
      values.try_emplace(plan->tensors[plan->inputs[k]].name, (*inputs)[k].tensor);
    }
  }
  const auto outputs = EvaluatePlan(*plan, values);
  if (!outputs.ok()) return {Outcome::kWrong, outputs.status().ToString()};
  if (expected->size() > plan->outputs.size()) return {Outcome::kWrong, "outputs are missing"};
  for (size_t k = 0; k < expected->size(); ++k) {
    const Tensor& actual = outputs->at(plan->tensors[plan->outputs[k]].name);
    const Tensor& wanted = (*expected)[k].tensor;
    if (actual.dtype != wanted.dtype) {
      return {Outcome::kWrong, absl::StrCat("type ", DTypeName(actual.dtype), " where ",
                                            DTypeName(wanted.dtype), " was expected")};
    }
    const bool half = wanted.dtype == DType::kF16 || wanted.dtype == DType::kBF16;
    const auto difference =
        CompareTensors(actual, wanted, half ? Tolerance{1e-2, 1e-3} : Tolerance{1e-3, 1e-6});
    if (!difference.ok()) return {Outcome::kWrong, std::string(difference.status().message())};
    if (difference->outside > 0) {
      return {Outcome::kWrong,
              absl::StrCat(difference->outside, " elements differ, ", difference->worst_actual,
                           " where ", difference->worst_expected, " was expected")};
    }
  }
  return {};
}

TEST(NodeTestsTest, NothingIsWrong) {
  const std::string archive = SharedDir() + "/onnx-node-tests/node-tests.tar.xz";
  if (!std::filesystem::exists(archive)) GTEST_SKIP() << archive << " is absent";
  const char* bin = std::getenv("HONE_BIN_DIR");
  const std::string folder = absl::StrCat(bin == nullptr ? "build/bin" : bin, "/../node-tests");
  std::filesystem::create_directories(folder);
  if (!std::filesystem::exists(folder + "/index.json")) {
    const std::string unpack = absl::StrCat("tar -xJf '", archive, "' -C '", folder, "'");
    ASSERT_EQ(std::system(unpack.c_str()), 0);
  }
  // Tests whose expected values hone does not share, each with its reason.
  const std::string bits = "bf16 is written as the u16 of its bits";
  const std::string wraps = "its values beyond the result's type wrap around; hone saturates";
  const std::string tie = "a tie in fp32 is none in the oracle's float64";
  const std::string other = "ONNX Runtime and hone agree on another value";
  const std::map<std::string, std::string> known = {
      {"legacy/v1.7.0/node/test_resize_downsample_scales_linear_align_corners", other},
      {"v1.17.0/node/test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
       other},
      {"v1.17.0/node/test_cast_FLOAT_to_BFLOAT16", bits},
      {"v1.17.0/node/test_castlike_BFLOAT16_to_FLOAT", bits},
      {"v1.17.0/node/test_castlike_BFLOAT16_to_FLOAT_expanded", bits},
      {"v1.17.0/node/test_castlike_FLOAT_to_BFLOAT16", bits},
      {"v1.17.0/node/test_castlike_FLOAT_to_BFLOAT16_expanded", bits},
      {"v1.17.0/node/test_dynamicquantizelinear", tie},
      {"v1.17.0/node/test_dynamicquantizelinear_expanded", tie},
      {"v1.17.0/node/test_qlinearmatmul_2D_int8_float32", wraps},
      {"v1.17.0/node/test_qlinearmatmul_3D_int8_float16", wraps},
      {"v1.17.0/node/test_qlinearmatmul_3D_int8_float32", wraps},
      {"v1.17.0/node/test_resize_downsample_scales_linear_align_corners", other},
  };

  std::vector<std::string> tests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() == "model.onnx") tests.push_back(entry.path().parent_path());
  }
  std::sort(tests.begin(), tests.end());
  int passes = 0;
  int refused = 0;
  std::map<std::string, int> reasons;
  for (const std::string& test : tests) {
    const std::string name = std::filesystem::relative(test, folder);
    if (std::getenv("HONE_NODE_TESTS_TRACE") != nullptr) std::cerr << name << "\n";
    const Outcome outcome = RunOne(test);
    passes += outcome.kind == Outcome::kPass;
    refused += outcome.kind == Outcome::kRefused;
    if (outcome.kind == Outcome::kRefused) {
      const size_t from = outcome.detail.find('(');
      ++reasons[from == std::string::npos ? outcome.detail : outcome.detail.substr(from)];
    }
    if (outcome.kind == Outcome::kWrong && !known.contains(name)) {
      ADD_FAILURE() << name << ": " << outcome.detail;
    }
  }
  for (const auto& [reason, count] : reasons) {
    if (count > 0) std::cout << "refused " << count << " " << reason << "\n";
  }
  std::cout << "node tests: " << passes << " pass, " << refused << " refused, of " << tests.size()
            << "\n";
  EXPECT_GE(passes, kPassesAtLeast);
}

}  // namespace
}  // namespace hone
