// The oracle's fast path: a stage that sums products of two loads with affine (and possibly
// guarded) indices, such as a convolution or a matrix product, computed in double by packing and
// register blocking. Derived from the index maps alone; it shares nothing with schedules, lowering
// or code generation.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/workload.h"

namespace hone {

// A load whose index in every dimension is constant + sum of coefficient * variable.
struct AffineLoad {
  std::string buffer;
  std::vector<int64_t> shape;
  std::vector<int64_t> constants;                     // one a dimension of the buffer
  std::vector<std::map<std::string, int64_t>> terms;  // one a dimension of the buffer
  bool guarded = false;                               // has an `otherwise`
  double otherwise = 0;
};

// c[dims] = sum over reduce of left * right.
struct Contraction {
  std::vector<std::string> dims;
  std::vector<int64_t> extents;
  std::vector<std::string> reduce;
  std::vector<int64_t> reduce_extents;
  AffineLoad left;
  AffineLoad right;
};

// The stage as a contraction, or nothing where it is none, or where a load without `otherwise`
// could leave its buffer. `shape_of` gives the shape of a loaded tensor; extents are the stage's.
std::optional<Contraction> MatchContraction(
    const Stage& stage, const std::vector<int64_t>& extents,
    const std::vector<int64_t>& reduce_extents,
    const std::function<std::vector<int64_t>(const std::string&)>& shape_of);

// All values, row-major over the stage's dims.
std::vector<double> ComputeContraction(const Contraction& contraction,
                                       const std::vector<double>& left,
                                       const std::vector<double>& right);

// The values at `count` points; rows[d][i] is point i's position along dim d. Each product and each
// partial sum is rounded to `rounding`; kF64: not at all.
void ComputeContractionAt(const Contraction& contraction, const std::vector<double>& left,
                          const std::vector<double>& right, const std::vector<const int64_t*>& rows,
                          int count, DType rounding, double* out);

}  // namespace hone
