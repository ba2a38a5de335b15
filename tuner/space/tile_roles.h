// The parts that a contraction's dims play when a matrix unit's tiles compute it: rows, columns and
// what is summed, found from the index maps and the target alone. The rule that writes sketches by
// tiles asks for them; nothing is written here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/ir/tensor_intrinsic.h"
#include "tuner/space/rule.h"

namespace hone {

// What `flatten` and `fuse` call two dims that became one.
inline std::string Joined(const std::string& outer, const std::string& inner) {
  return absl::StrCat(outer, "_", inner);
}

inline int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The stage's dims in their parts to play, by their names in the anchor and in the output.
struct TileRoles {
  Access rows;     // the operand that tiles have in rows
  Access columns;  // the other one
  std::string row, row_out;
  std::string column, column_out;      // the output's fastest dim
  std::vector<std::string> outer_out;  // all other dims of the output, as memory has them
  std::string main;                    // reduce dim that tiles cut
  int64_t main_points = 0;             // of it, filled up
  // The reduce dim along a window's row, of which tiles cut main_points * window_points as one dim;
  // "": none.
  std::string window;
  int64_t window_points = 0;
  std::vector<std::string> others;  // the other reduce dims
  std::vector<int> row_indices;     // where `row` indexes its operand: once, or in two parts
  const TensorIntrinsic* intrinsic = nullptr;
  int64_t terms = 0;  // that fp32 values are split into; 0: they are narrow already

  bool IsSplit() const { return terms > 0; }
  bool HasWindow() const { return !window.empty(); }
  // The reduce dim that tiles cut, window included.
  std::string sum() const { return HasWindow() ? Joined(window, main) : main; }
};

// Nothing where the workload is no product of rows by columns that the target's unit takes, in this
// class of numerics.
std::optional<TileRoles> FindTileRoles(const RuleInput& input);

// Two dims that become one long row: in the anchor and in the output.
struct LongRow {
  std::string outer, inner;
  std::string outer_out, inner_out;
  std::string patches;  // the stage that holds the windows; "": rows are read point by point
  int64_t inner_extent = 1;
};

// The same workload with its short rows joined to a long one, and the roles in it.
struct FlattenedTiles {
  LoopNest nest;
  TileRoles roles;
  LongRow row;
};

// Nothing where rows fill tiles well enough as they are, or cannot be joined.
std::optional<FlattenedTiles> FlattenTiles(const RuleInput& input, const TileRoles& roles);

}  // namespace hone
