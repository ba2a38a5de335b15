// Target as LLVM sees it: the machine that emits code, the attributes functions carry, and which
// operations the hardware has. Only code generation includes this.
#pragma once

#include <memory>

#include "base/status.h"
#include "base/target.h"
#include "llvm/IR/Function.h"
#include "llvm/Target/TargetMachine.h"

namespace hone {

// Which operations need no expansion and no library call.
struct NativeOps {
  bool fma = false;               // fused multiply-add on f32 and f64
  bool half = false;              // conversions between f16 and f32
  bool bf16 = false;              // from f32 to bf16, which may take denormals for zero
  bool rounding = false;          // floor, ceil, round to even, trunc
  bool rounded_cast = false;      // f32 to the nearest integer of 32 bits
  bool saturating_bytes = false;  // integers of 32 bits to the nearest unsigned byte
  bool division64 = false;        // of 64-bit integers; without it, those divided fit 32 bits
  int pmaddwd_bits = 128;         // widest register that pmaddwd takes
  int vnni_bits = 256;            // that vpdpbusd and vpdpwssd take, where there are any
  // Of the widest vector whose multiply-adds are written as assembly; 0 if none are.
  int multiply_add_bytes = 0;
};

NativeOps NativeOpsOf(const Target& target);

// Position-independent code, optimisation level "less" (measured equal to higher levels for
// straight-line kernels). InvalidArgument for an architecture this build of LLVM lacks.
StatusOr<std::unique_ptr<llvm::TargetMachine>> MakeTargetMachine(const Target& target);

// What every generated function carries: features, tuning, vector width, no unwinding.
void AddTargetAttributes(const Target& target, llvm::Function& function);

}  // namespace hone
