#include "tests/lower/oracle_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/compile.h"
#include "compiler/operators/reference.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

// The memory of every buffer of the kernel, by name, as tensors of physical shape.
std::map<std::string, Tensor> PhysicalBuffers(const pb::Manifest& manifest,
                                              const TensorMap& logical) {
  std::map<std::string, Tensor> physical;
  for (const pb::BufferInfo& info : manifest.buffers()) {
    int64_t count = 1;
    for (const pb::Extent& extent : info.shape()) count *= extent.value();
    Tensor memory = Tensor::Zeros(*ParseDType(info.dtype()), {count});
    auto values = logical.find(info.name());
    if (values != logical.end()) {
      const Tensor& tensor = values->second;
      const int rank = static_cast<int>(tensor.shape.size());
      Layout layout =
          info.layout().empty() ? Layout::Identity(rank) : *Layout::Parse(info.layout());
      ConvertLayout(tensor.bytes.data(), Layout::Identity(rank), memory.bytes.data(), layout,
                    tensor.shape, DTypeBytes(tensor.dtype));
    }
    physical[info.name()] = std::move(memory);
  }
  return physical;
}

TensorMap RandomInputs(const Workload& workload, std::mt19937_64& random) {
  TensorMap inputs;
  std::normal_distribution<float> normal;
  for (const Buffer& buffer : workload.buffers) {
    Tensor tensor = Tensor::Zeros(buffer.dtype, *EvaluateShape(buffer.shape, {}));
    if (buffer.role != BufferRole::kOutput) {
      for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, normal(random));
    }
    inputs[buffer.name] = std::move(tensor);
  }
  return inputs;
}

}  // namespace

bool AgreesWithOracle(const Workload& workload, const Schedule& schedule, const Target& target,
                      std::mt19937_64& random) {
  auto artifact = Compile(workload, schedule, target);
  if (!artifact.ok()) {
    EXPECT_EQ(artifact.status().code(), absl::StatusCode::kInvalidArgument)
        << artifact.status() << "\n"
        << schedule.ToString();
    return false;
  }
  TensorMap inputs = RandomInputs(workload, random);
  auto expected = EvaluateWorkload(workload, inputs);
  EXPECT_TRUE(expected.ok()) << expected.status();
  auto physical = PhysicalBuffers(artifact->manifest(), inputs);
  Status ran = RunArtifact(*artifact, {}, physical);
  EXPECT_TRUE(ran.ok()) << ran;
  for (const pb::BufferInfo& info : artifact->manifest().buffers()) {
    if (info.role() != pb::BUFFER_ROLE_OUTPUT) continue;
    const Tensor& want = expected->at(info.name());
    const int rank = static_cast<int>(want.shape.size());
    Layout layout = info.layout().empty() ? Layout::Identity(rank) : *Layout::Parse(info.layout());
    Tensor got = want;
    ConvertLayout(physical.at(info.name()).bytes.data(), layout, got.bytes.data(),
                  Layout::Identity(rank), want.shape, DTypeBytes(want.dtype));
    for (int64_t i = 0; i < want.ElementCount(); ++i) {
      const double error = std::abs(got.Get(i) - want.Get(i));
      if (error <= 1e-4 + 1e-4 * std::abs(want.Get(i))) continue;
      ADD_FAILURE() << info.name() << " element " << i << " is " << got.Get(i) << ", not "
                    << want.Get(i) << " with\n"
                    << workload.ToString() << schedule.ToString();
      return true;
    }
  }
  return true;
}

}  // namespace hone
