// The interpreter of loop programs: runs one statement by statement on host tensors, before or
// after any lowering pass. Slow and plain; it is what tests compare passes and generated code with.
// It computes every operation in the node's own type (f16 and bf16 through f32), math functions by
// libm in double, and checks that each access stays inside its buffer.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "compiler/ir/stmt.h"
#include "compiler/ir/tensor.h"

namespace hone {

// Runs `prepare`, if there is one, and then `run`. `params` has a value for each parameter.
// `buffers` has a tensor for every argument buffer, of its physical shape, by name; those the
// program writes are changed. An access with as many indices as its buffer has dimensions is
// row-major; one with a single index is flat.
// Errors: InvalidArgument where something is missing or unknown, OutOfRange for an access outside
// its buffer (naming buffer and index).
Status Evaluate(const Program& program, const std::map<std::string, int64_t>& params,
                std::map<std::string, Tensor>& buffers);

// The value of an expression over variables of type i64 and buffers, one tensor element a lane.
StatusOr<Tensor> Evaluate(const Expr& e, const std::map<std::string, int64_t>& variables,
                          const std::map<std::string, Tensor>& buffers);

}  // namespace hone
