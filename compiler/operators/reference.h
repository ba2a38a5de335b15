// The oracle: computes a Workload by plain loops straight from its index maps, in float64, and so
// says what every kernel must give. It is deliberately a second way: independent of schedules,
// lowering and code generation. Used by tests, by the tuner to make expected values, and by graph/
// to run whole models.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/ir/workload.h"
#include "compiler/operators/point_program.h"

namespace hone {

// Values by buffer name, and parameters by their name.
using TensorMap = std::map<std::string, Tensor>;
using ParamMap = std::map<std::string, int64_t>;

// The outputs of the workload, rounded to their element types; everything before is float64 (ints:
// their own width, wrapping). `inputs` has every input and constant buffer with the shape and type
// that the workload states. Errors: a buffer or parameter that is absent or does not match; a load
// outside its buffer.
StatusOr<TensorMap> EvaluateWorkload(const Workload& workload, const TensorMap& inputs,
                                     const ParamMap& params = {});

// The values of buffer `output` at some logical points only (each as long as its rank), unrounded
// where the arithmetic is exact. Stages before it are evaluated where these points need them, once
// a point.
StatusOr<std::vector<double>> EvaluateSamples(const Workload& workload, const TensorMap& inputs,
                                              absl::string_view output,
                                              const std::vector<std::vector<int64_t>>& points,
                                              const ParamMap& params = {},
                                              Arithmetic arithmetic = Arithmetic::kExact);

// The extents of a shape for given parameters; an error where one has no value.
StatusOr<std::vector<int64_t>> EvaluateShape(const std::vector<Expr>& shape,
                                             const ParamMap& params);

}  // namespace hone
