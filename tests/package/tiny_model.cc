#include "tests/package/tiny_model.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/check.h"
#include "base/file.h"
#include "compiler/package/build_package.h"
#include "gtest/gtest.h"
#include "runtime/cpu_features.h"

namespace hone {
namespace {

Workload ParseWorkload(const char* text) {
  StatusOr<Workload> workload = Workload::Parse(text);
  HONE_CHECK(workload.ok()) << workload.status();
  return *std::move(workload);
}

PlanTensor MakeTensor(const std::string& name, std::vector<int64_t> shape, TensorKind kind) {
  PlanTensor tensor;
  tensor.name = name;
  tensor.layout = Layout::Identity(static_cast<int>(shape.size()));
  tensor.shape = std::move(shape);
  tensor.kind = kind;
  return tensor;
}

PlanTensor MakeConstant(const std::string& name, float value) {
  PlanTensor tensor = MakeTensor(name, {8}, TensorKind::kConstant);
  const std::vector<float> values(8, value);
  tensor.data = std::make_shared<const std::string>(reinterpret_cast<const char*>(values.data()),
                                                    values.size() * sizeof(float));
  return tensor;
}

void AddBuffer(const char* name, pb::BufferRole role, std::vector<int64_t> shape,
               pb::Manifest* manifest) {
  pb::BufferInfo* buffer = manifest->add_buffers();
  buffer->set_name(name);
  buffer->set_dtype("f32");
  buffer->set_role(role);
  for (const int64_t extent : shape) buffer->add_shape()->set_value(extent);
}

std::string KernelCode(const std::string& name) {
  const char* folder = std::getenv("HONE_TEST_KERNELS_DIR");
  HONE_CHECK(folder != nullptr);
  std::ifstream file(std::string(folder) + "/" + name + ".so", std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

ModelPlan TinyPlan() {
  ModelPlan plan;
  plan.name = "tiny";
  plan.tensors = {
      MakeTensor("x", {4, 8}, TensorKind::kInput),
      MakeConstant("w0", 1),
      MakeConstant("w1", 2),
      MakeTensor("t0", {4, 8}, TensorKind::kLocal),
      MakeTensor("t1", {4, 8}, TensorKind::kLocal),
      MakeTensor("t2", {4, 8}, TensorKind::kLocal),
      MakeTensor("y", {4, 8}, TensorKind::kOutput),
      MakeTensor("flat", {32}, TensorKind::kOutput),
  };
  plan.tensors[7].part_of = 5;
  const Layout rows = Layout::Identity(2);
  plan.kernels = {
      {.name = "scale_4x8",
       .workload = ParseWorkload("workload/1\n"
                                 "input x f32 [4,8]\n"
                                 "constant w f32 [8]\n"
                                 "output y f32 [4,8]\n"
                                 "stage y f32 [i:4,j:8] = x[i,j]*w[j]*0x1p+1\n"),
       .layouts = {rows, Layout::Identity(1), rows}},
      {.name = "add_4x8",
       .workload = ParseWorkload("workload/1\n"
                                 "input a f32 [4,8]\n"
                                 "input b f32 [4,8]\n"
                                 "output c f32 [4,8]\n"
                                 "stage c f32 [i:4,j:8] = a[i,j]+b[i,j]\n"),
       .layouts = {rows, rows, rows}},
  };
  plan.calls = {
      {.kernel = 0, .tensors = {0, 1, 3}, .node = "first"},
      {.kernel = 0, .tensors = {0, 2, 4}, .node = "second"},
      {.kernel = 1, .tensors = {3, 4, 5}, .node = "sum"},
      {.kernel = 1, .tensors = {5, 5, 6}, .node = "twice"},
  };
  plan.inputs = {0};
  plan.outputs = {6, 7, 0};
  return plan;
}

std::vector<pb::Artifact> TinyArtifacts() {
  std::vector<pb::Artifact> artifacts(2);
  artifacts[0].set_code(KernelCode("scale"));
  pb::Manifest* scale = artifacts[0].mutable_manifest();
  scale->set_has_prepare(true);
  AddBuffer("x", pb::BUFFER_ROLE_INPUT, {4, 8}, scale);
  AddBuffer("w", pb::BUFFER_ROLE_CONSTANT, {8}, scale);
  scale->mutable_buffers(1)->set_prepare_only(true);
  AddBuffer("y", pb::BUFFER_ROLE_OUTPUT, {4, 8}, scale);
  AddBuffer("w2", pb::BUFFER_ROLE_PREPARED, {8}, scale);
  artifacts[1].set_code(KernelCode("add"));
  pb::Manifest* add = artifacts[1].mutable_manifest();
  add->set_scratch_shared_bytes(128);
  AddBuffer("a", pb::BUFFER_ROLE_INPUT, {4, 8}, add);
  AddBuffer("b", pb::BUFFER_ROLE_INPUT, {4, 8}, add);
  AddBuffer("c", pb::BUFFER_ROLE_OUTPUT, {4, 8}, add);
  return artifacts;
}

Target TinyTarget() {
  Target target;
#if defined(__aarch64__)
  target.arch = "aarch64";
#endif
  target.threads = 2;
  return target;
}

Target MachineTarget() {
  Target target = TinyTarget();
  const hone_cpu cpu = hone_cpu_read();
  for (const char* name = nullptr;
       hone_cpu_feature(&cpu, static_cast<int>(target.features.size()), &name) != 0;) {
    target.features.emplace_back(name);
  }
  return target;
}

std::string TinyModel(const std::string& adds) {
  std::vector<pb::Artifact> artifacts = TinyArtifacts();
  artifacts[1].set_code(KernelCode(adds));
  StatusOr<std::string> model = BuildPackage(TinyPlan(), artifacts, TinyTarget());
  HONE_CHECK(model.ok()) << model.status();
  return *std::move(model);
}

std::string TinyModelFor(const Target& target) {
  StatusOr<std::string> model = BuildPackage(TinyPlan(), TinyArtifacts(), target);
  HONE_CHECK(model.ok()) << model.status();
  return *std::move(model);
}

TemporaryFile::TemporaryFile(const std::string& name, const std::string& bytes)
    : path_(testing::TempDir() + "/hone_" + std::to_string(getpid()) + "_" + name) {
  const Status written = WriteFile(path_, bytes);
  HONE_CHECK(written.ok()) << written;
}

TemporaryFile::~TemporaryFile() { unlink(path_.c_str()); }

}  // namespace hone
