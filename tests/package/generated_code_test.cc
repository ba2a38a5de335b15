// What code generation makes, packaged and run: the two ends of the kernel ABI together.
#include <memory>

#include "compiler/codegen/code_generator.h"
#include "compiler/package/build_package.h"
#include "gtest/gtest.h"
#include "runtime/hone.h"
#include "tests/package/tiny_model.h"

namespace hone {
namespace {

constexpr int64_t kRows = 6;
constexpr int64_t kColumns = 16;

Buffer MakeBuffer(const char* name, std::vector<int64_t> shape, BufferRole role) {
  Buffer buffer = {.name = name, .scope = Scope::kArgument, .role = role};
  for (const int64_t extent : shape) buffer.shape.push_back(Int(extent));
  return buffer;
}

// prepare: w2 = w + w; run: y[i,j] = x[i,j] * w2[j] + b[j], rows in parallel.
Program MakeProgram() {
  Program program;
  program.buffers = {MakeBuffer("x", {kRows * kColumns}, BufferRole::kInput),
                     MakeBuffer("w", {kColumns}, BufferRole::kConstant),
                     MakeBuffer("b", {kColumns}, BufferRole::kConstant),
                     MakeBuffer("y", {kRows * kColumns}, BufferRole::kOutput),
                     MakeBuffer("w2", {kColumns}, BufferRole::kPrepared)};
  const auto load = [](const char* buffer, const Expr& index) {
    return Load(buffer, DType::kF32, {index});
  };
  const Expr i = Var("i"), j = Var("j");
  program.prepare =
      For("j", Int(kColumns), LoopKind::kSerial, Store("w2", {j}, load("w", j) + load("w", j)));
  const Expr at = i * kColumns + j;
  program.run = For("i", Int(kRows), LoopKind::kParallel,
                    For("j", Int(kColumns), LoopKind::kSerial,
                        Store("y", {at}, load("x", at) * load("w2", j) + load("b", j))));
  return program;
}

PlanTensor MakeTensor(const char* name, std::vector<int64_t> shape, TensorKind kind, float value) {
  PlanTensor tensor;
  tensor.name = name;
  tensor.layout = Layout::Identity(static_cast<int>(shape.size()));
  tensor.shape = std::move(shape);
  tensor.kind = kind;
  if (kind == TensorKind::kConstant) {
    const std::vector<float> values(kColumns, value);
    tensor.data = std::make_shared<const std::string>(reinterpret_cast<const char*>(values.data()),
                                                      kColumns * sizeof(float));
  }
  return tensor;
}

TEST(GeneratedCode, RunsInsideAPackage) {
  Target target = TinyTarget();
  const StatusOr<pb::Artifact> artifact = GenerateCode(MakeProgram(), target);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  // Only prepare reads w; run reads b.
  EXPECT_TRUE(artifact->manifest().buffers(1).prepare_only());
  EXPECT_FALSE(artifact->manifest().buffers(2).prepare_only());

  ModelPlan plan;
  plan.name = "generated";
  plan.tensors = {MakeTensor("x", {kRows, kColumns}, TensorKind::kInput, 0),
                  MakeTensor("w", {kColumns}, TensorKind::kConstant, 1.5f),
                  MakeTensor("b", {kColumns}, TensorKind::kConstant, 0.25f),
                  MakeTensor("y", {kRows, kColumns}, TensorKind::kOutput, 0)};
  StatusOr<Workload> workload = Workload::Parse(
      "workload/1\n"
      "input x f32 [6,16]\n"
      "constant w f32 [16]\n"
      "constant b f32 [16]\n"
      "output y f32 [6,16]\n"
      "stage y f32 [i:6,j:16] = (x[i,j]*(w[j]+w[j]))+b[j]\n");
  ASSERT_TRUE(workload.ok()) << workload.status();
  plan.kernels = {{.name = "scale_and_add", .workload = *workload}};
  plan.calls = {{.kernel = 0, .tensors = {0, 1, 2, 3}, .node = "all"}};
  plan.inputs = {0};
  plan.outputs = {3};
  const StatusOr<std::string> bytes = BuildPackage(plan, {*artifact}, target);
  ASSERT_TRUE(bytes.ok()) << bytes.status();

  const TemporaryFile file("generated.so", *bytes);
  hone_error error = {};
  hone_model* model = hone_model_load(file.path().c_str(), nullptr, &error);
  ASSERT_NE(model, nullptr) << error.message;
  std::vector<float> x(kRows * kColumns);
  for (size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(k);
  ASSERT_EQ(hone_model_set_input(model, 0, x.data(), x.size() * sizeof(float), &error), HONE_OK);
  ASSERT_EQ(hone_model_run(model, &error), HONE_OK) << error.message;
  const auto* y = static_cast<const float*>(hone_model_output(model, 0));
  for (size_t k = 0; k < x.size(); ++k) ASSERT_EQ(y[k], 3 * x[k] + 0.25f) << k;
  hone_model_free(model);
}

}  // namespace
}  // namespace hone
