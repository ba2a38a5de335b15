// TensorIntrinsic: an instruction that computes a small contraction, declared once: what it
// computes (a tiny Workload as text), of which types, in which grouping, and what a target must
// have. Schedules name one (`tensorize`), lowering makes its expressions, each code generator has
// one emission for it. The table says nothing of how fast an instruction is.
//
// Dot instructions sum `group` products of neighbouring elements into each lane of a vector, of any
// number of lanes: generators cut and pad to what the target has. Matrix units multiply tiles of a
// fixed shape.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/dtype.h"

namespace hone {

// The most that one instruction of a matrix unit takes; all 0 for dot instructions. `depth` is in
// elements of the operands and a multiple of the group.
struct IntrinsicTile {
  int rows = 0;
  int columns = 0;
  int depth = 0;
};

struct TensorIntrinsic {
  const char* name;
  const char* arch;      // as Target has it
  const char* features;  // alternatives separated by '|', each a list separated by ','; "": any
  DType left;            // element of the first operand
  DType right;           // of the second
  DType result;          // of the sums
  int group;             // products summed into one element of the result at a time
  IntrinsicTile tile;
  // Matrix units: the second operand has `group` neighbours in depth side by side.
  // Dot instructions: c[l] = s[l] + sum over j < group of a[l,j] * b[l,j], for l < lanes.
  const char* workload;

  bool IsDot() const { return tile.rows == 0; }
};

// Sorted by name.
absl::Span<const TensorIntrinsic> TensorIntrinsics();
const TensorIntrinsic* FindTensorIntrinsic(absl::string_view name);  // null if there is none
// The same, or InvalidArgument that lists the names.
StatusOr<const TensorIntrinsic*> TensorIntrinsicOrError(absl::string_view name);

bool HasTensorIntrinsic(const Target& target, const TensorIntrinsic& intrinsic);
// InvalidArgument says in one line what the target lacks.
Status CheckTensorIntrinsic(const Target& target, const TensorIntrinsic& intrinsic);

}  // namespace hone
