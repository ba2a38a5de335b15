// Data movement as workloads: whatever reads each output element from a computed position of its
// inputs. Transpose, slice, pad, resize, tile, gather, depth-to-space and concatenation are all
// this one operator with different index expressions. Used by graph/partition.
#pragma once

#include <string>
#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

// y[d0,d1,...] = body, over the variables d0, d1, ... (one an output dimension) and loads of the
// operands by the names v0, v1, ... with their own full-rank indices.
struct IndexMap {
  std::vector<int64_t> y;  // shape
  Expr body;
  std::vector<Operand> operands;
};

// Arguments: the operands in order (x, x2, ...; constants b, b2, ...), the epilogue's, y.
// Scalars become tensors of one element.
Workload IndexMapWorkload(const IndexMap& map, const Epilogue& epilogue);

// The index map that puts tensors one after another along `axis`.
IndexMap Concatenation(const std::vector<Operand>& operands, int axis);

}  // namespace hone
