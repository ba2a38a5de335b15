// A vector loop that reduces: its lanes hold partial results in registers, several vectors of them
// so that one accumulation need not wait for the last; at the end they are combined pairwise.
// Called by vectorize_loops for loops whose iterations all accumulate into one element.
//
//   for k in 0..100 (vector): s[0] = s[0] + x[k]
//     ->  a[0..32] = 0;  for v in 0..3: a[0..8] += x[v*32..], ...;  a = 4 vectors to one, and the
//     rest of x;  h[0..4] = a[0..4] + a[4..8] + x[96..100];  ...;  s[0] = s[0] + h[0]
#pragma once

#include "base/status.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// Whether every iteration of the loop, whose buffers have flat indices, stores to one element.
bool AccumulatesInOnePlace(const Stmt& loop);

// `lanes`: of a full vector. Error: InvalidArgument when the loop's body is more than one
// accumulation.
StatusOr<Stmt> VectorizeReduction(const Stmt& loop, int lanes, const Ranges& ranges);

}  // namespace hone
