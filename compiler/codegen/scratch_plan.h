// Where a program's scratch buffers lie: at fixed offsets of the memory a kernel is lent, in the
// part all workers share or in each worker's slice. Code generation reads it; the sizes go into the
// manifest. Knows nothing of LLVM.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "compiler/ir/stmt.h"

namespace hone {

struct ScratchSlot {
  bool worker = false;  // in the worker's slice; otherwise in the shared part
  int64_t offset = 0;   // in bytes from the start of its part; a multiple of HONE_ALIGNMENT
};

struct ScratchPlan {
  std::map<std::string, ScratchSlot> slots;  // by buffer name
  int64_t shared_bytes = 0;
  int64_t worker_bytes = 0;
};

// Buffers allocated outside of parallel loops are shared, those inside are the worker's. No two
// buffers of a function share memory: generated code is told that they do not alias. A shape that
// depends on parameters, or on the loops around it, is taken as large as it can get;
// InvalidArgument if nothing says how large that is.
StatusOr<ScratchPlan> PlanScratch(const Program& program);

// The number of elements of `shape` with every parameter at its maximum.
StatusOr<int64_t> MaxElements(const std::vector<Expr>& shape, const std::vector<Param>& params);

}  // namespace hone
