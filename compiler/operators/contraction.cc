// An affine index splits into a part from the output dims and a part from the reduction, so the
// address of every element is the sum of two numbers that are tabulated once. The output dims fall
// into those that only the left load uses (rows), only the right (columns), and both (batch); a
// batch is then a matrix product of gathered, packed panels:
//
//   left panel [block of rows][k][kRows]  x  right panel [columns / kColumns][k][kColumns]
#include "compiler/operators/contraction.h"

#include <algorithm>
#include <utility>

#include "compiler/ir/scalar.h"

namespace hone {
namespace {

constexpr int kRows = 4;           // of the register block
constexpr int kColumns = 4;        // of the register block, two vectors of two doubles
constexpr int64_t kRowBlock = 32;  // rows gathered at once, so that a right panel is reused from L2

constexpr int64_t kTermsAtOnce = 256;  // of a sum, read before they are added

typedef double Pair __attribute__((vector_size(16)));

// e = constant + sum of terms, or false.
bool AddAffine(const Expr& e, int64_t factor, int64_t& constant,
               std::map<std::string, int64_t>& terms) {
  if (e.IsInt()) {
    constant += factor * e->int_value;
    return true;
  }
  if (e.kind() == ExprKind::kVar) {
    terms[e->name] += factor;
    return true;
  }
  if (e.kind() != ExprKind::kBinary) return false;
  switch (e->binary) {
    case BinaryOp::kAdd:
      return AddAffine(e.arg(0), factor, constant, terms) &&
             AddAffine(e.arg(1), factor, constant, terms);
    case BinaryOp::kSub:
      return AddAffine(e.arg(0), factor, constant, terms) &&
             AddAffine(e.arg(1), -factor, constant, terms);
    case BinaryOp::kMul:
      if (e.arg(1).IsInt()) {
        return AddAffine(e.arg(0), factor * e.arg(1)->int_value, constant, terms);
      }
      if (e.arg(0).IsInt()) {
        return AddAffine(e.arg(1), factor * e.arg(0)->int_value, constant, terms);
      }
      return false;
    default:
      return false;
  }
}

// A load, perhaps widened to a larger float type.
std::optional<AffineLoad> MatchLoad(
    const Expr& e, const std::function<std::vector<int64_t>(const std::string&)>& shape_of) {
  const Expr* load = &e;
  if (e.kind() == ExprKind::kCast && IsFloat(e.type().dtype) && IsFloat(e.arg(0).type().dtype) &&
      DTypeBytes(e.type().dtype) >= DTypeBytes(e.arg(0).type().dtype)) {
    load = &e.arg(0);
  }
  if (load->kind() != ExprKind::kLoad || !IsFloat(load->type().dtype)) return std::nullopt;
  AffineLoad affine{.buffer = (*load)->name, .shape = shape_of((*load)->name)};
  for (const Expr& index : Indices(*load)) {
    affine.constants.push_back(0);
    affine.terms.emplace_back();
    if (!AddAffine(index, 1, affine.constants.back(), affine.terms.back())) return std::nullopt;
  }
  if (const Expr otherwise = Otherwise(*load)) {
    if (otherwise.kind() != ExprKind::kFloat) return std::nullopt;
    affine.guarded = true;
    affine.otherwise = otherwise->float_value;
  }
  return affine;
}

bool Uses(const AffineLoad& load, const std::string& variable) {
  for (const auto& terms : load.terms) {
    if (terms.contains(variable)) return true;
  }
  return false;
}

// Whether every index stays inside over the whole box of variables.
bool AlwaysInside(const AffineLoad& load, const std::map<std::string, int64_t>& extents) {
  for (size_t d = 0; d < load.shape.size(); ++d) {
    int64_t low = load.constants[d];
    int64_t high = load.constants[d];
    for (const auto& [name, coefficient] : load.terms[d]) {
      const int64_t reach = coefficient * (extents.at(name) - 1);
      (reach < 0 ? low : high) += reach;
    }
    if (low < 0 || high >= load.shape[d]) return false;
  }
  return true;
}

// The points of a box of some variables, each with its contribution to a load's index in every
// dimension and to the flat address.
struct Part {
  int64_t points = 1;
  std::vector<std::vector<int64_t>> index;  // [buffer dim][point]
  std::vector<int64_t> flat;                // [point]
};

// `with_constants`: exactly one part of a load carries the constants.
Part TabulatePart(const AffineLoad& load, const std::vector<std::string>& variables,
                  const std::vector<int64_t>& extents, bool with_constants) {
  Part part;
  for (int64_t extent : extents) part.points *= extent;
  part.flat.assign(part.points, 0);
  for (size_t d = 0; d < load.shape.size(); ++d) {
    std::vector<int64_t> column(part.points, with_constants ? load.constants[d] : 0);
    int64_t inner = part.points;
    for (size_t v = 0; v < variables.size(); ++v) {
      if (extents[v] > 0) inner /= extents[v];
      auto found = load.terms[d].find(variables[v]);
      if (found == load.terms[d].end()) continue;
      for (int64_t p = 0; p < part.points; ++p) {
        column[p] += found->second * ((p / inner) % extents[v]);
      }
    }
    for (int64_t p = 0; p < part.points; ++p)
      part.flat[p] = part.flat[p] * load.shape[d] + column[p];
    part.index.push_back(std::move(column));
  }
  return part;
}

// Reads load values at the sum of three parts' points.
class Gather {
 public:
  Gather(const AffineLoad& load, const std::vector<double>& values, bool always_inside)
      : load_(load), values_(values), check_(!always_inside) {}

  double operator()(const Part& a, int64_t i, const Part& b, int64_t j, const Part& c,
                    int64_t k) const {
    if (check_) {
      for (size_t d = 0; d < load_.shape.size(); ++d) {
        const int64_t index = a.index[d][i] + b.index[d][j] + c.index[d][k];
        if (index < 0 || index >= load_.shape[d]) return load_.otherwise;
      }
    }
    return values_[a.flat[i] + b.flat[j] + c.flat[k]];
  }

 private:
  const AffineLoad& load_;
  const std::vector<double>& values_;
  const bool check_;
};

// accumulators[kRows][kColumns] = sum over k of left[k][kRows] * right[k][kColumns]
void MultiplyPanels(const double* left, const double* right, int64_t depth,
                    double accumulators[kRows][kColumns]) {
  Pair sums[kRows][kColumns / 2] = {};
  for (int64_t k = 0; k < depth; ++k, left += kRows, right += kColumns) {
    const Pair b0 = {right[0], right[1]};
    const Pair b1 = {right[2], right[3]};
    for (int r = 0; r < kRows; ++r) {
      const Pair a = {left[r], left[r]};
      sums[r][0] += a * b0;
      sums[r][1] += a * b1;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) accumulators[r][c] = sums[r][c / 2][c % 2];
  }
}

// Reads load values at one point of the output and all of the reduction.
class PointReader {
 public:
  PointReader(const Contraction& contraction, const AffineLoad& load,
              const std::vector<double>& values)
      : dims_(contraction.dims),
        load_(load),
        values_(values),
        reduce_(TabulatePart(load, contraction.reduce, contraction.reduce_extents, false)) {
    for (const std::vector<int64_t>& index : reduce_.index) {
      const auto [low, high] = std::minmax_element(index.begin(), index.end());
      reach_.emplace_back(*low, *high);
    }
  }

  // rows[d][i] is the point's position along output dim d.
  void MoveTo(const std::vector<const int64_t*>& rows, int i) {
    flat_ = 0;
    to_check_.clear();
    for (size_t d = 0; d < load_.shape.size(); ++d) {
      int64_t index = load_.constants[d];
      for (size_t v = 0; v < dims_.size(); ++v) {
        auto found = load_.terms[d].find(dims_[v]);
        if (found != load_.terms[d].end()) index += found->second * rows[v][i];
      }
      flat_ = flat_ * load_.shape[d] + index;
      // Most points lie so far inside that nothing is to be checked.
      if (index + reach_[d].first < 0 || index + reach_[d].second >= load_.shape[d]) {
        to_check_.emplace_back(d, index);
      }
    }
  }

  // Those of the terms [first, first + count).
  void Read(int64_t first, int64_t count, double* out) const {
    const int64_t* flat = &reduce_.flat[first];
    if (to_check_.empty()) {
      for (int64_t k = 0; k < count; ++k) out[k] = values_[flat_ + flat[k]];
      return;
    }
    for (int64_t k = 0; k < count; ++k) {
      const bool inside = std::all_of(to_check_.begin(), to_check_.end(), [&](const auto& check) {
        const int64_t at = check.second + reduce_.index[check.first][first + k];
        return at >= 0 && at < load_.shape[check.first];
      });
      out[k] = inside ? values_[flat_ + flat[k]] : load_.otherwise;
    }
  }

 private:
  const std::vector<std::string>& dims_;
  const AffineLoad& load_;
  const std::vector<double>& values_;
  const Part reduce_;
  std::vector<std::pair<int64_t, int64_t>> reach_;    // of the reduction, by buffer dim
  std::vector<std::pair<size_t, int64_t>> to_check_;  // buffer dims, and the point's index there
  int64_t flat_ = 0;
};

// sum + left[0] * right[0] + ..., one after the other, each operation rounded.
double AddProducts(double sum, const double* left, const double* right, int64_t count,
                   DType rounding) {
  if (rounding == DType::kF64) {
    for (int64_t k = 0; k < count; ++k) sum += left[k] * right[k];
    return sum;
  }
  if (rounding == DType::kF32) {
    // A double has so many bits that rounding a sum of floats to it first changes nothing.
    float narrow = static_cast<float>(sum);
    for (int64_t k = 0; k < count; ++k) narrow += static_cast<float>(left[k] * right[k]);
    return narrow;
  }
  for (int64_t k = 0; k < count; ++k) {
    sum = RoundToDType(sum + RoundToDType(left[k] * right[k], rounding), rounding);
  }
  return sum;
}

struct Box {
  std::vector<std::string> names;
  std::vector<int64_t> extents;
  // The output's flat position of each point.
  std::vector<int64_t> out;
};

}  // namespace

std::optional<Contraction> MatchContraction(
    const Stage& stage, const std::vector<int64_t>& extents,
    const std::vector<int64_t>& reduce_extents,
    const std::function<std::vector<int64_t>(const std::string&)>& shape_of) {
  if (stage.combiner != Combiner::kSum || !IsFloat(stage.dtype)) return std::nullopt;
  if (stage.body.kind() != ExprKind::kBinary || stage.body->binary != BinaryOp::kMul) {
    return std::nullopt;
  }
  std::optional<AffineLoad> left = MatchLoad(stage.body.arg(0), shape_of);
  std::optional<AffineLoad> right = MatchLoad(stage.body.arg(1), shape_of);
  if (!left || !right) return std::nullopt;
  Contraction contraction{.extents = extents,
                          .reduce_extents = reduce_extents,
                          .left = *std::move(left),
                          .right = *std::move(right)};
  std::map<std::string, int64_t> all;
  for (size_t d = 0; d < stage.dims.size(); ++d) {
    contraction.dims.push_back(stage.dims[d].name);
    all[stage.dims[d].name] = extents[d];
  }
  for (size_t d = 0; d < stage.reduce.size(); ++d) {
    contraction.reduce.push_back(stage.reduce[d].name);
    all[stage.reduce[d].name] = reduce_extents[d];
  }
  for (const auto& [name, extent] : all) {
    if (extent == 0) return std::nullopt;
  }
  for (const AffineLoad* load : {&contraction.left, &contraction.right}) {
    for (const auto& terms : load->terms) {
      for (const auto& [name, coefficient] : terms) {
        if (!all.contains(name)) return std::nullopt;  // a run-time parameter in an index
      }
    }
    if (!load->guarded && !AlwaysInside(*load, all)) return std::nullopt;
  }
  return contraction;
}

std::vector<double> ComputeContraction(const Contraction& contraction,
                                       const std::vector<double>& left,
                                       const std::vector<double>& right) {
  std::map<std::string, int64_t> all;
  Box batch, row, column;
  std::vector<int64_t> strides(contraction.dims.size());
  int64_t total = 1;
  for (size_t d = contraction.dims.size(); d-- > 0;) {
    strides[d] = total;
    total *= contraction.extents[d];
    all[contraction.dims[d]] = contraction.extents[d];
  }
  for (size_t r = 0; r < contraction.reduce.size(); ++r) {
    all[contraction.reduce[r]] = contraction.reduce_extents[r];
  }
  for (Box* box : {&batch, &row, &column}) box->out = {0};
  for (size_t d = 0; d < contraction.dims.size(); ++d) {
    const bool in_left = Uses(contraction.left, contraction.dims[d]);
    const bool in_right = Uses(contraction.right, contraction.dims[d]);
    Box& box = in_left && in_right ? batch : in_right ? column : row;
    box.names.push_back(contraction.dims[d]);
    box.extents.push_back(contraction.extents[d]);
    std::vector<int64_t> out;
    for (int64_t base : box.out) {
      for (int64_t i = 0; i < contraction.extents[d]; ++i) out.push_back(base + i * strides[d]);
    }
    box.out = std::move(out);
  }
  const Part left_batch = TabulatePart(contraction.left, batch.names, batch.extents, true);
  const Part left_row = TabulatePart(contraction.left, row.names, row.extents, false);
  const Part left_k =
      TabulatePart(contraction.left, contraction.reduce, contraction.reduce_extents, false);
  const Part right_batch = TabulatePart(contraction.right, batch.names, batch.extents, true);
  const Part right_column = TabulatePart(contraction.right, column.names, column.extents, false);
  const Part right_k =
      TabulatePart(contraction.right, contraction.reduce, contraction.reduce_extents, false);
  const Gather read_left(contraction.left, left, AlwaysInside(contraction.left, all));
  const Gather read_right(contraction.right, right, AlwaysInside(contraction.right, all));

  const int64_t depth = left_k.points;
  const int64_t panels = (right_column.points + kColumns - 1) / kColumns;
  std::vector<double> right_packed(panels * depth * kColumns, 0);
  std::vector<double> left_packed(kRowBlock * depth, 0);
  std::vector<double> result(total);
  for (int64_t b = 0; b < left_batch.points; ++b) {
    for (int64_t j = 0; j < right_column.points; ++j) {
      double* to = &right_packed[(j / kColumns) * depth * kColumns + j % kColumns];
      for (int64_t k = 0; k < depth; ++k) {
        to[k * kColumns] = read_right(right_batch, b, right_column, j, right_k, k);
      }
    }
    for (int64_t first = 0; first < left_row.points; first += kRowBlock) {
      const int64_t rows = std::min(kRowBlock, left_row.points - first);
      for (int64_t i = 0; i < rows; ++i) {
        double* to = &left_packed[(i / kRows) * depth * kRows + i % kRows];
        for (int64_t k = 0; k < depth; ++k) {
          to[k * kRows] = read_left(left_batch, b, left_row, first + i, left_k, k);
        }
      }
      for (int64_t panel = 0; panel < panels; ++panel) {
        for (int64_t i = 0; i < rows; i += kRows) {
          double sums[kRows][kColumns];
          MultiplyPanels(&left_packed[i * depth], &right_packed[panel * depth * kColumns], depth,
                         sums);
          for (int64_t r = 0; r < std::min<int64_t>(kRows, rows - i); ++r) {
            for (int64_t c = 0; c < kColumns; ++c) {
              const int64_t j = panel * kColumns + c;
              if (j >= right_column.points) break;
              result[batch.out[b] + row.out[first + i + r] + column.out[j]] = sums[r][c];
            }
          }
        }
      }
    }
  }
  return result;
}

void ComputeContractionAt(const Contraction& contraction, const std::vector<double>& left,
                          const std::vector<double>& right, const std::vector<const int64_t*>& rows,
                          int count, DType rounding, double* out) {
  PointReader read_left(contraction, contraction.left, left);
  PointReader read_right(contraction, contraction.right, right);
  int64_t terms = 1;
  for (int64_t extent : contraction.reduce_extents) terms *= extent;
  for (int i = 0; i < count; ++i) {
    read_left.MoveTo(rows, i);
    read_right.MoveTo(rows, i);
    double sum = 0;
    for (int64_t first = 0; first < terms; first += kTermsAtOnce) {
      const int64_t count = std::min(kTermsAtOnce, terms - first);
      double left_terms[kTermsAtOnce];
      double right_terms[kTermsAtOnce];
      read_left.Read(first, count, left_terms);
      read_right.Read(first, count, right_terms);
      sum = AddProducts(sum, left_terms, right_terms, count, rounding);
    }
    out[i] = sum;
  }
}

}  // namespace hone
