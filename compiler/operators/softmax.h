// Softmax and log-softmax as workloads of stages: maximum, exponentials, their sum, the quotient.
// Used by graph/partition; chains of rows and attention take the stages alone.
#pragma once

#include <functional>
#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

struct Softmax {
  std::vector<int64_t> x;  // shape
  int first = 0;           // normalised over dimensions [first, first + count)
  int count = 1;
  bool log = false;
};

// Arguments x, the epilogue's operands, y. Seen as x[m,n], normalised over n; as x[m,n,i] where
// dimensions follow the normalised ones.
Workload SoftmaxWorkload(const Softmax& softmax, const Epilogue& epilogue);

// Adds a stage to a workload and gives its value, as later stages of the same row read it. `name`
// is what the stage is called where stages have names; `body` is at a point of the row, also where
// it is combined over the row, which leaves one value `per_row`.
using AddRowStage =
    std::function<Expr(absl::string_view name, Combiner combiner, bool per_row, const Expr& body)>;

// Softmax is the product of these: `inverse` is one value a row, so a row takes one division.
struct SoftmaxFactors {
  Expr e;
  Expr inverse;
};
SoftmaxFactors AddSoftmaxStages(const Expr& x, const AddRowStage& add);

// Log-softmax is `shifted` - log(`total`); `total` is one value a row.
struct LogSoftmaxTerms {
  Expr shifted;
  Expr total;
};
LogSoftmaxTerms AddLogSoftmaxStages(const Expr& x, const AddRowStage& add);

}  // namespace hone
