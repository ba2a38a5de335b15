// Compiles a workload by a schedule, runs it on random inputs here, and compares every output with
// the oracle. For tests of schedules, derived and random.
#pragma once

#include <random>

#include "absl/strings/string_view.h"
#include "base/target.h"
#include "compiler/schedule/schedule.h"
#include "tests/lower/kernel_check.h"

namespace hone {

// False when the schedule is refused, which must be as InvalidArgument. A wrong value is a failure
// of the test that names the element and the schedule.
bool AgreesWithOracle(const Workload& workload, const Schedule& schedule, const Target& target,
                      std::mt19937_64& random);

// The same for texts, the schedule without its heading, in code for AVX2 on two threads; a refusal
// is a failure too.
void ExpectOracle(absl::string_view workload_text, absl::string_view steps);

// The same as the first for a target that this machine may not be: the interpreter runs the lowered
// program, from which the generator has to make code without spills. Where the machine is one, it
// runs that too.
bool InterpretedAgreesWithOracle(const Workload& workload, const Schedule& schedule,
                                 const Target& target, std::mt19937_64& random);

// Root of the mean square of what the outputs differ by, on inputs from N(0,1). The oracle sums in
// float64 and rounds once.
StatusOr<double> RmsErrorAgainstOracle(const Workload& workload, const Schedule& schedule,
                                       const Target& target, std::mt19937_64& random,
                                       RunBy run_by = RunBy::kMachine);

}  // namespace hone
