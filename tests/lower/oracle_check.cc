#include "tests/lower/oracle_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/lower/kernel_check.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

bool Agrees(const Workload& workload, const Schedule& schedule, const Target& target,
            std::mt19937_64& random, RunBy run_by) {
  auto values = DrawKernelCase(workload, {}, InputKind::kNormal, random);
  if (!values.ok()) {
    ADD_FAILURE() << values.status() << "\n" << workload.ToString();
    return false;
  }
  DrawOpenSizes(schedule, random, &values->params);
  const auto outputs = RunKernel(workload, schedule, target, *values, run_by);
  if (!outputs.ok()) {
    EXPECT_TRUE(absl::IsInvalidArgument(outputs.status()))
        << outputs.status() << "\n"
        << workload.ToString() << schedule.ToString();
    return false;
  }
  const std::string difference = DifferenceFromOracle(workload, schedule, *values, *outputs);
  if (!difference.empty()) {
    std::string sizes;
    for (const auto& [name, value] : values->params) absl::StrAppend(&sizes, name, "=", value, " ");
    ADD_FAILURE() << difference << " with " << sizes << "\n"
                  << workload.ToString() << schedule.ToString();
  }
  return true;
}

}  // namespace

bool AgreesWithOracle(const Workload& workload, const Schedule& schedule, const Target& target,
                      std::mt19937_64& random) {
  return Agrees(workload, schedule, target, random, RunBy::kMachine);
}

void ExpectOracle(absl::string_view workload_text, absl::string_view steps) {
  const auto workload = Workload::Parse(workload_text);
  ASSERT_TRUE(workload.ok()) << workload.status();
  const auto schedule = Schedule::Parse(absl::StrCat("schedule/1\n", steps));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  std::mt19937_64 random(1);
  EXPECT_TRUE(AgreesWithOracle(*workload, *schedule, Avx2Target(2), random)) << steps;
}

bool InterpretedAgreesWithOracle(const Workload& workload, const Schedule& schedule,
                                 const Target& target, std::mt19937_64& random) {
  const auto artifact = Compile(workload, schedule, target);
  if (artifact.ok()) {
    EXPECT_EQ(artifact->spill_count(), 0) << schedule.ToString();
  }
  if (!Agrees(workload, schedule, target, random, RunBy::kInterpreter)) return false;
  return !RunsHere(target) || Agrees(workload, schedule, target, random, RunBy::kMachine);
}

StatusOr<double> RmsErrorAgainstOracle(const Workload& workload, const Schedule& schedule,
                                       const Target& target, std::mt19937_64& random,
                                       RunBy run_by) {
  HONE_ASSIGN_OR_RETURN(const KernelCase values,
                        DrawKernelCase(workload, {}, InputKind::kNormal, random));
  HONE_ASSIGN_OR_RETURN(const TensorMap outputs,
                        RunKernel(workload, schedule, target, values, run_by));
  double squares = 0;
  int64_t count = 0;
  for (const auto& [name, want] : values.expected) {
    const Tensor& got = outputs.at(name);
    for (int64_t i = 0; i < want.ElementCount(); ++i, ++count) {
      const double error = got.Get(i) - want.Get(i);
      squares += error * error;
    }
  }
  return std::sqrt(squares / static_cast<double>(std::max<int64_t>(count, 1)));
}

}  // namespace hone
