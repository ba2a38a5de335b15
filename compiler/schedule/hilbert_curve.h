// A Hilbert curve over any rectangle: an order of its points in which each comes once and the one
// after it is its neighbour, so that every stretch of it stays close together. Lowering builds the
// tables of the step `hilbert` from it; it knows nothing of loops.
#pragma once

#include <cstdint>
#include <vector>

namespace hone {

struct CurvePoint {
  int64_t row = 0;
  int64_t column = 0;
  friend bool operator==(const CurvePoint&, const CurvePoint&) = default;
};

// All rows * columns points, from {0, 0} on; both are at least 1.
std::vector<CurvePoint> HilbertCurve(int64_t rows, int64_t columns);

}  // namespace hone
