// Access: how a stage reads one tensor, seen from its index maps. The rules, the prior and the
// features all ask these questions; nothing here knows operators or schedules.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/workload.h"

namespace hone {

// One load in a stage's body.
struct Access {
  std::string tensor;  // buffer or earlier stage
  DType dtype = DType::kF32;
  std::vector<Expr> indices;  // over the stage's dims and reduce dims
  bool padded = false;        // reads a value of its own outside the shape

  bool Uses(absl::string_view dim) const;
  // The tensor dimension whose index is exactly `dim`, or -1.
  int PlainIndexOf(absl::string_view dim) const;
  // Whether every index is a constant or exactly one dimension, each dimension once at most.
  bool IsPlain() const;
};

// All loads of a body, each different one once.
std::vector<Access> AccessesOf(const Expr& body);

// How much an index changes by per step of `dim`; nothing when that is no constant.
std::optional<int64_t> CoefficientOf(const Expr& index, absl::string_view dim);

// How many different values an index takes at most when each dim runs over its extent; a name
// without an extent stands still. Fractions are averages over uneven tiles. Infinite when the index
// depends on data.
double SpanOf(const Expr& index, const std::map<std::string, double>& extents);

// An extent's value: parameters stand at their maximum.
int64_t ExtentValue(const Expr& extent, const std::vector<Param>& params);

}  // namespace hone
