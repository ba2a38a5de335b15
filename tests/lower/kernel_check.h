// One kernel held against the oracle: inputs drawn from a seed, the workload scheduled, lowered,
// and run as machine code or by the interpreter, every output compared. The fuzz program and the
// tests of schedules, derived and random, stand on it; it knows nothing of test frameworks.
#pragma once

#include <random>
#include <string>

#include "base/target.h"
#include "compiler/operators/reference.h"
#include "compiler/schedule/schedule.h"

namespace hone {

enum class InputKind {
  kNormal,   // reals from N(0,1)
  kSpecial,  // of one buffer, some are infinities, NaN, zeros of both signs and denormals
};

// Values for a workload and what the oracle makes of them.
struct KernelCase {
  InputKind inputs_kind = InputKind::kNormal;
  ParamMap params;     // the workload's, and the sizes that a schedule leaves open
  TensorMap inputs;    // logical; of inputs and constants
  TensorMap expected;  // logical; of outputs
};

// Reals as `kind` says, integers small (i8 and u8: all there are), bool. An error is the oracle's.
StatusOr<KernelCase> DrawKernelCase(const Workload& workload, const ParamMap& params,
                                    InputKind kind, std::mt19937_64& random);

// Adds a value for each size that the schedule leaves open.
void DrawOpenSizes(const Schedule& schedule, std::mt19937_64& random, ParamMap* params);

enum class RunBy { kMachine, kInterpreter };

// The outputs as the kernel computes them, logical. They are NaN (integers: -1) before, as is what
// lies in the padding of layouts. Errors: InvalidArgument, Unimplemented or FailedPrecondition when
// the compiler refuses the schedule; OutOfRange and Internal are the compiler's faults: a program
// that does not verify, an access outside of a buffer, an input changed.
StatusOr<TensorMap> RunKernel(const Workload& workload, const Schedule& schedule,
                              const Target& target, const KernelCase& values, RunBy run_by);

bool IsRefusal(const Status& status);

// "" where every output is what the oracle says, or the first element that is not, with both
// values. Integers are equal; reals lie within what rounding may do to values of such size, less
// exactly where the schedule takes another algorithm, or the workload a narrower type. Infinities
// and NaN are the same in direct algorithms; in others, what is not finite is not finite.
std::string DifferenceFromOracle(const Workload& workload, const Schedule& schedule,
                                 const KernelCase& values, const TensorMap& outputs);

}  // namespace hone
