// FuzzCase: all that it takes to hold one kernel against the oracle again, in a text form, so that
// what the fuzz program finds can be replayed, shrunk and kept as a regression test.
#pragma once

#include <cstdint>
#include <string>

#include "base/target.h"
#include "compiler/ir/workload.h"
#include "compiler/schedule/schedule.h"
#include "tests/lower/kernel_check.h"

namespace hone {

struct FuzzCase {
  uint64_t seed = 0;  // of the inputs
  InputKind inputs = InputKind::kNormal;
  RunBy run_by = RunBy::kMachine;
  ParamMap params;
  Target target;
  Workload workload;
  Schedule schedule;

  // case/1 seed=7 inputs=normal run=machine M=3
  // target/1 ...
  // workload/1
  // ...
  // schedule/1
  // ...
  // Lines that begin with # before are a comment.
  std::string ToString() const;
  static StatusOr<FuzzCase> Parse(absl::string_view text);
};

struct Verdict {
  enum Kind { kAgrees, kRefused, kWrong };
  Kind kind = kAgrees;
  std::string message;
};

// Draws the inputs, runs the kernel, compares.
Verdict Check(const FuzzCase& fuzz_case);
// The same with inputs drawn already.
Verdict CheckWith(const FuzzCase& fuzz_case, const KernelCase& values);

}  // namespace hone
