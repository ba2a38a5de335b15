// Prologue: what is done point by point to an operand before a workload reads it, as a stage of its
// own in front of those that are there. Used by graph/node_workload for nodes that took what is
// elementwise in front of them; it never says where the stage is computed, that is a schedule's.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

// As an epilogue's: `value` over EpilogueValue, the operand as it is stored, and
// EpilogueOperand(j), which broadcast to it.
struct Prologue {
  Expr value;
  Operand stored;                 // of the shape that the graph knows
  std::vector<Operand> operands;  // of the same rank at most
};

// Whether the workload's buffer of number `buffer`, an operand, can be computed so: neither its own
// dimensions nor their order must lose what the operands tell apart.
bool CanPrepend(const Prologue& prologue, const Workload& workload, size_t buffer);

// Makes every read of the buffer a read of stage t, which computes it from what is stored. The
// operands' buffers come behind all others but the output.
void Prepend(const Prologue& prologue, size_t buffer, Workload& workload);

}  // namespace hone
