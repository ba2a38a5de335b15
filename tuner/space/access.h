// Access: how a stage reads one tensor, seen from its index maps. The rules, the prior and the
// features all ask these questions; nothing here knows operators or schedules.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
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

// How many different values an index of a stage takes at most, while each of the stage's dims runs
// over an extent. It is asked again and again of the same index, so it knows each dim by its place.
class IndexSpan {
 public:
  IndexSpan(const Expr& index, const Stage& stage);

  // `extents`: of the stage's dims, then of those that it reduces; fractions are averages over
  // uneven tiles. Other variables stand still. Infinite when the index depends on data.
  double Over(absl::Span<const double> extents) const;

 private:
  // Each gives a range, the largest value less the smallest: of a dim, of the one or two operations
  // that stand before it, or one that is known.
  enum class Kind : uint8_t { kKnown, kDim, kAdd, kMax, kScale, kFloorDiv, kFloorMod };
  struct Operation {
    Kind kind = Kind::kKnown;
    size_t dim = 0;
    double number = 0;
  };

  void Append(const Expr& e, const Stage& stage);

  std::vector<Operation> operations_;
};

// An extent's value: parameters stand at their maximum.
int64_t ExtentValue(const Expr& extent, const std::vector<Param>& params);

}  // namespace hone
