// The generalised Hilbert curve ("gilbert") of Jakub Cerveny, github.com/jakubcerveny/gilbert.
//
// A rectangle has a long side, along which the curve makes its way, and a side across. One that is
// much longer than wide is cut in two, which follow each other; any other in three: a part up
// along the near half, the long part over the far half, and a part back down. Cuts are at even
// lengths, as a curve over an odd length would end in the wrong corner. The curve ends at the far
// corner of the long side; for an odd side by an even one the number of points allows that along
// the even side only, so there that one is taken for the long one.
#include "compiler/schedule/hilbert_curve.h"

#include <cstdlib>

#include "base/check.h"

namespace hone {
namespace {

// A side of a rectangle, as a vector: one of the two is 0.
struct Side {
  int64_t rows = 0;
  int64_t columns = 0;

  int64_t Length() const { return std::abs(rows + columns); }
  // The side's first `length` points.
  Side Cut(int64_t length) const {
    const auto scaled = [&](int64_t part) { return part == 0 ? 0 : part < 0 ? -length : length; };
    return {scaled(rows), scaled(columns)};
  }
  Side Step() const { return Cut(1); }
  Side operator-() const { return {-rows, -columns}; }
  Side operator-(const Side& other) const { return {rows - other.rows, columns - other.columns}; }
};

CurvePoint operator+(const CurvePoint& point, const Side& side) {
  return {point.row + side.rows, point.column + side.columns};
}

// The length at which a side is cut in half: even, where the side allows it.
int64_t HalfOf(const Side& side) {
  const int64_t half = side.Length() / 2;
  return half % 2 == 1 && side.Length() > 2 ? half + 1 : half;
}

void Walk(CurvePoint from, const Side& along, const Side& across, std::vector<CurvePoint>* curve) {
  if (along.Length() == 1 || across.Length() == 1) {
    const Side& line = across.Length() == 1 ? along : across;
    for (int64_t i = 0; i < line.Length(); ++i) curve->push_back(from + line.Cut(i));
    return;
  }
  if (2 * along.Length() > 3 * across.Length()) {
    const Side near = along.Cut(HalfOf(along));
    Walk(from, near, across, curve);
    Walk(from + near, along - near, across, curve);
    return;
  }
  const Side near = along.Cut(along.Length() / 2);
  const Side up = across.Cut(HalfOf(across));
  Walk(from, up, near, curve);
  Walk(from + up, along, across - up, curve);
  Walk(from + (along - along.Step()) + (up - across.Step()), -up, -(along - near), curve);
}

}  // namespace

std::vector<CurvePoint> HilbertCurve(int64_t rows, int64_t columns) {
  HONE_CHECK(rows >= 1 && columns >= 1) << "no curve over " << rows << " x " << columns;
  std::vector<CurvePoint> curve;
  curve.reserve(static_cast<size_t>(rows * columns));
  const Side down{rows, 0};
  const Side right{0, columns};
  const bool long_rows = rows > columns;
  const int64_t longer = long_rows ? rows : columns;
  const int64_t shorter = long_rows ? columns : rows;
  const bool swap = longer % 2 == 1 && shorter % 2 == 0;
  if (long_rows != swap) {
    Walk({}, down, right, &curve);
  } else {
    Walk({}, right, down, &curve);
  }
  return curve;
}

}  // namespace hone
