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

// Names with an extent each, fractions where they are averages over uneven tiles. Of the handful of
// dims and loops that a stage has, so a search through all is the fastest.
class Extents {
 public:
  // 0 when it was not there.
  double& operator[](absl::string_view name);
  const double* Find(absl::string_view name) const;  // null: not there
  double ValueOr(absl::string_view name, double otherwise) const {
    const double* extent = Find(name);
    return extent == nullptr ? otherwise : *extent;
  }

  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.end(); }

 private:
  std::vector<std::pair<std::string, double>> extents_;
};

// How many different values an index takes at most when each dim runs over its extent; a name
// without an extent stands still. Fractions are averages over uneven tiles. Infinite when the index
// depends on data.
double SpanOf(const Expr& index, const Extents& extents);

// An extent's value: parameters stand at their maximum.
int64_t ExtentValue(const Expr& extent, const std::vector<Param>& params);

}  // namespace hone
