// Layout: how the logical indices of a tensor map to the dimensions of its memory. A value with one
// text form, used in schedules, manifests and model plans; it says nothing of strides or alignment.
//
//   0,1/8,2,3,1%8   NCHW8c: physical dims are n, c/8, h, w, c%8
//   0/16,1,0%16     rows in panels of 16, each panel column-major
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/ir/expr.h"

namespace hone {

// One physical dimension: (logical dimension / divisor) % modulus; modulus 0 means no modulus.
struct LayoutDim {
  int dim = 0;
  int64_t divisor = 1;
  int64_t modulus = 0;
  friend bool operator==(const LayoutDim&, const LayoutDim&) = default;
};

struct Layout {
  std::vector<LayoutDim> dims;  // outermost first

  static Layout Identity(int rank);
  // NCHW8c and its kin: `dim` split by `block`, the remainder innermost.
  static Layout Blocked(int rank, int dim, int64_t block);
  bool IsIdentity() const;
  // How many logical dimensions it takes.
  int Rank() const;

  // Physical extents for logical ones; a split that does not divide rounds up.
  std::vector<Expr> PhysicalShape(const std::vector<Expr>& shape) const;
  std::vector<int64_t> PhysicalShape(const std::vector<int64_t>& shape) const;
  std::vector<Expr> PhysicalIndex(const std::vector<Expr>& index) const;
  // Position in memory, in elements, of a logical element.
  int64_t Offset(const std::vector<int64_t>& index, const std::vector<int64_t>& shape) const;

  std::string ToString() const;
  static StatusOr<Layout> Parse(absl::string_view text);

  friend bool operator==(const Layout&, const Layout&) = default;
};

// Copies between the memory of two layouts of one logical tensor. Physical elements that no logical
// element maps to are zeroed. `element_bytes` is 1, 2, 4 or 8.
void ConvertLayout(const void* from, const Layout& from_layout, void* to, const Layout& to_layout,
                   const std::vector<int64_t>& shape, int64_t element_bytes);

}  // namespace hone
