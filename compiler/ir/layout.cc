#include "compiler/ir/layout.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace hone {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t Product(const std::vector<int64_t>& values) {
  int64_t product = 1;
  for (int64_t value : values) product *= value;
  return product;
}

// An offset is a sum of what each index adds by itself: that, for every value of every index.
std::vector<std::vector<int64_t>> OffsetParts(const Layout& layout,
                                              const std::vector<int64_t>& shape) {
  std::vector<std::vector<int64_t>> parts;
  for (int64_t extent : shape) parts.emplace_back(extent, 0);
  std::vector<int64_t> none(shape.size(), 0);
  for (size_t d = 0; d < shape.size(); ++d) {
    for (int64_t i = 0; i < shape[d]; ++i) {
      none[d] = i;
      parts[d][i] = layout.Offset(none, shape);
    }
    none[d] = 0;
  }
  return parts;
}

}  // namespace

Layout Layout::Identity(int rank) {
  Layout layout;
  for (int d = 0; d < rank; ++d) layout.dims.push_back({.dim = d});
  return layout;
}

Layout Layout::Blocked(int rank, int dim, int64_t block) {
  Layout layout = Identity(rank);
  layout.dims[dim].divisor = block;
  layout.dims.push_back({.dim = dim, .modulus = block});
  return layout;
}

bool Layout::IsIdentity() const { return *this == Identity(static_cast<int>(dims.size())); }

int Layout::Rank() const {
  int rank = 0;
  for (const LayoutDim& d : dims) rank = std::max(rank, d.dim + 1);
  return rank;
}

std::vector<Expr> Layout::PhysicalShape(const std::vector<Expr>& shape) const {
  std::vector<Expr> physical;
  for (const LayoutDim& d : dims) {
    physical.push_back(d.modulus ? Int(d.modulus)
                                 : FloorDiv(shape[d.dim] + (d.divisor - 1), d.divisor));
  }
  return physical;
}

std::vector<int64_t> Layout::PhysicalShape(const std::vector<int64_t>& shape) const {
  std::vector<int64_t> physical;
  for (const LayoutDim& d : dims) {
    physical.push_back(d.modulus ? d.modulus : CeilDiv(shape[d.dim], d.divisor));
  }
  return physical;
}

std::vector<Expr> Layout::PhysicalIndex(const std::vector<Expr>& index) const {
  std::vector<Expr> physical;
  for (const LayoutDim& d : dims) {
    Expr e = FloorDiv(index[d.dim], d.divisor);
    physical.push_back(d.modulus ? FloorMod(e, d.modulus) : e);
  }
  return physical;
}

int64_t Layout::Offset(const std::vector<int64_t>& index, const std::vector<int64_t>& shape) const {
  int64_t offset = 0;
  for (const LayoutDim& d : dims) {
    const int64_t extent = d.modulus ? d.modulus : CeilDiv(shape[d.dim], d.divisor);
    int64_t i = index[d.dim] / d.divisor;
    if (d.modulus) i %= d.modulus;
    offset = offset * extent + i;
  }
  return offset;
}

std::string Layout::ToString() const {
  std::string text;
  for (const LayoutDim& d : dims) {
    absl::StrAppend(&text, text.empty() ? "" : ",", d.dim);
    if (d.divisor != 1) absl::StrAppend(&text, "/", d.divisor);
    if (d.modulus != 0) absl::StrAppend(&text, "%", d.modulus);
  }
  return text;
}

StatusOr<Layout> Layout::Parse(absl::string_view text) {
  const Status bad = absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a layout; NCHW8c, for one, is 0,1/8,2,3,1%8"));
  Layout layout;
  if (text.empty()) return layout;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    LayoutDim d;
    std::pair<absl::string_view, absl::string_view> at_mod =
        absl::StrSplit(part, absl::MaxSplits('%', 1));
    std::pair<absl::string_view, absl::string_view> at_div =
        absl::StrSplit(at_mod.first, absl::MaxSplits('/', 1));
    if (!absl::SimpleAtoi(at_div.first, &d.dim) || d.dim < 0 || d.dim > 15) return bad;
    if (!at_div.second.empty() && (!absl::SimpleAtoi(at_div.second, &d.divisor) || d.divisor < 1)) {
      return bad;
    }
    if (!at_mod.second.empty() && (!absl::SimpleAtoi(at_mod.second, &d.modulus) || d.modulus < 1)) {
      return bad;
    }
    layout.dims.push_back(d);
  }
  return layout;
}

void ConvertLayout(const void* from, const Layout& from_layout, void* to, const Layout& to_layout,
                   const std::vector<int64_t>& shape, int64_t element_bytes) {
  const int64_t count = Product(shape);
  const auto* source = static_cast<const char*>(from);
  auto* destination = static_cast<char*>(to);
  if (from_layout == to_layout) {
    std::memcpy(destination, source, Product(from_layout.PhysicalShape(shape)) * element_bytes);
    return;
  }
  std::memset(destination, 0, Product(to_layout.PhysicalShape(shape)) * element_bytes);
  if (count == 0) return;
  const auto from_parts = OffsetParts(from_layout, shape);
  const auto to_parts = OffsetParts(to_layout, shape);
  const size_t rank = shape.size();
  const int64_t row = rank == 0 ? 1 : shape[rank - 1];
  std::vector<int64_t> index(rank, 0);
  for (int64_t done = 0; done < count; done += row) {
    int64_t from_row = 0;
    int64_t to_row = 0;
    for (size_t d = 0; d + 1 < rank; ++d) {
      from_row += from_parts[d][index[d]];
      to_row += to_parts[d][index[d]];
    }
    for (int64_t i = 0; i < row; ++i) {
      const int64_t from_element = from_row + (rank == 0 ? 0 : from_parts[rank - 1][i]);
      const int64_t to_element = to_row + (rank == 0 ? 0 : to_parts[rank - 1][i]);
      std::memcpy(destination + to_element * element_bytes, source + from_element * element_bytes,
                  element_bytes);
    }
    for (size_t d = rank; d-- > 1;) {
      if (++index[d - 1] < shape[d - 1]) break;
      index[d - 1] = 0;
    }
  }
}

}  // namespace hone
