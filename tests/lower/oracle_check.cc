#include "tests/lower/oracle_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
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
  std::uniform_int_distribution<int> byte(0, 255);
  for (const Buffer& buffer : workload.buffers) {
    Tensor tensor = Tensor::Zeros(buffer.dtype, *EvaluateShape(buffer.shape, {}));
    if (buffer.role != BufferRole::kOutput) {
      // Bytes take all their values, so that what saturates or wraps is seen.
      const bool bytes = buffer.dtype == DType::kI8 || buffer.dtype == DType::kU8;
      const int smallest = buffer.dtype == DType::kI8 ? -128 : 0;
      for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
        tensor.Set(i, bytes ? smallest + byte(random) : normal(random));
      }
    }
    inputs[buffer.name] = std::move(tensor);
  }
  return inputs;
}

// One output as the oracle has it and as the compiled kernel does.
struct Outcome {
  std::string output;
  Tensor want;
  Tensor got;
};

enum class RunBy { kThisMachine, kInterpreter };

StatusOr<std::vector<Outcome>> RunBesideOracle(const Workload& workload, const Schedule& schedule,
                                               const Target& target, std::mt19937_64& random,
                                               RunBy by = RunBy::kThisMachine) {
  HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, Compile(workload, schedule, target));
  TensorMap inputs = RandomInputs(workload, random);
  HONE_ASSIGN_OR_RETURN(TensorMap expected, EvaluateWorkload(workload, inputs));
  auto physical = PhysicalBuffers(artifact.manifest(), inputs);
  Status ran;
  if (by == RunBy::kThisMachine) {
    ran = RunArtifact(artifact, {}, physical);
  } else {
    EXPECT_EQ(artifact.spill_count(), 0);
    HONE_ASSIGN_OR_RETURN(const Program program, LowerWorkload(workload, schedule, target));
    EXPECT_EQ(Verify(program, ProgramStage::kLowered), absl::OkStatus());
    ran = Evaluate(program, {}, physical);
  }
  if (!ran.ok()) return absl::InternalError(ran.message());
  std::vector<Outcome> outcomes;
  for (const pb::BufferInfo& info : artifact.manifest().buffers()) {
    if (info.role() != pb::BUFFER_ROLE_OUTPUT) continue;
    const Tensor& want = expected.at(info.name());
    const int rank = static_cast<int>(want.shape.size());
    Layout layout = info.layout().empty() ? Layout::Identity(rank) : *Layout::Parse(info.layout());
    Tensor got = want;
    ConvertLayout(physical.at(info.name()).bytes.data(), layout, got.bytes.data(),
                  Layout::Identity(rank), want.shape, DTypeBytes(want.dtype));
    outcomes.push_back({info.name(), want, std::move(got)});
  }
  return outcomes;
}

bool Agrees(const StatusOr<std::vector<Outcome>>& outcomes, const Workload& workload,
            const Schedule& schedule) {
  if (!outcomes.ok()) {
    EXPECT_EQ(outcomes.status().code(), absl::StatusCode::kInvalidArgument)
        << outcomes.status() << "\n"
        << schedule.ToString();
    return false;
  }
  for (const Outcome& outcome : *outcomes) {
    for (int64_t i = 0; i < outcome.want.ElementCount(); ++i) {
      const double want = outcome.want.Get(i);
      const double allowed = IsFloat(outcome.want.dtype) ? 1e-4 + 1e-4 * std::abs(want) : 0;
      if (std::abs(outcome.got.Get(i) - want) <= allowed) continue;
      ADD_FAILURE() << outcome.output << " element " << i << " is " << outcome.got.Get(i)
                    << ", not " << want << " with\n"
                    << workload.ToString() << schedule.ToString();
      return true;
    }
  }
  return true;
}

}  // namespace

bool AgreesWithOracle(const Workload& workload, const Schedule& schedule, const Target& target,
                      std::mt19937_64& random) {
  return Agrees(RunBesideOracle(workload, schedule, target, random), workload, schedule);
}

bool InterpretedAgreesWithOracle(const Workload& workload, const Schedule& schedule,
                                 const Target& target, std::mt19937_64& random) {
  return Agrees(RunBesideOracle(workload, schedule, target, random, RunBy::kInterpreter), workload,
                schedule);
}

StatusOr<double> RmsErrorAgainstOracle(const Workload& workload, const Schedule& schedule,
                                       const Target& target, std::mt19937_64& random) {
  HONE_ASSIGN_OR_RETURN(const std::vector<Outcome> outcomes,
                        RunBesideOracle(workload, schedule, target, random));
  double squares = 0;
  int64_t count = 0;
  for (const Outcome& outcome : outcomes) {
    for (int64_t i = 0; i < outcome.want.ElementCount(); ++i, ++count) {
      const double error = outcome.got.Get(i) - outcome.want.Get(i);
      squares += error * error;
    }
  }
  return std::sqrt(squares / static_cast<double>(std::max<int64_t>(count, 1)));
}

}  // namespace hone
