// PointProgram: a scalar expression compiled for evaluation at many points at once, one row of
// values per variable. The oracle's interpreter: real types are computed in double, rounded where
// that is asked for, integers in int64 wrapped to their width after every operation. It knows
// nothing of stages; where a load's values come from is the caller's business (PointSource).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "compiler/ir/expr.h"

namespace hone {

// Rows of at most this many points are evaluated at once.
inline constexpr int kPointRow = 512;

// How reals are computed.
enum class Arithmetic {
  kExact,  // in double: what a kernel should give
  // Each operation rounded to its own type, sums in order: what plain sequential code gives.
  kSequential,
};

// What a load reads: values by their flat row-major position.
class PointSource {
 public:
  virtual ~PointSource() = default;
  virtual const std::vector<int64_t>& shape() const = 0;
  // Writes the elements at `positions` (all inside the shape) to `reals` or `ints`, whichever the
  // element type calls for.
  virtual Status Read(const int64_t* positions, int count, double* reals, int64_t* ints) = 0;
};

// The values of one expression at a row of points: `reals` for float types, else `ints`.
struct PointRow {
  const double* reals = nullptr;
  const int64_t* ints = nullptr;
};

class PointProgram {
 public:
  // `row_variables` take one value a point; `uniform_variables` one value a call. `sources` gives
  // the source of every buffer loaded; both outlive the program. Vector expressions are an error.
  static StatusOr<std::unique_ptr<PointProgram>> Compile(
      const Expr& body, const std::vector<std::string>& row_variables,
      const std::vector<std::string>& uniform_variables,
      const std::function<StatusOr<PointSource*>(const std::string&)>& sources,
      Arithmetic arithmetic = Arithmetic::kExact);
  ~PointProgram();

  // Evaluates at `count` <= kPointRow points. `rows[v]` has `count` values of row variable v,
  // `uniforms[v]` the value of uniform variable v. The result is valid until the next call. A load
  // outside its source's shape that has no `otherwise` is an error naming buffer and index.
  StatusOr<PointRow> Evaluate(const std::vector<const int64_t*>& rows,
                              const std::vector<int64_t>& uniforms, int count);

 private:
  struct Node;
  struct Context;
  PointProgram() = default;
  static Status Run(Node& node, const Context& context, int count, const uint8_t* mask);
  static Status Compute(Node& node, const Context& context, int count, const uint8_t* mask);
  static Status Operate(Node& node, int count);
  static Status ComputeLoad(Node& node, const Context& context, int count, const uint8_t* mask);
  static Status ComputeSelect(Node& node, const Context& context, int count, const uint8_t* mask);

  std::unique_ptr<Node> root_;
};

}  // namespace hone
