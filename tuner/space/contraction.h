// Contraction normal form: a stage that sums products of two reads, its dims told apart by which
// operand they index. Convolution, matmul, attention products and depthwise are all this; the rules
// read nothing else of them.
//
//             indexes the result   left   right
//   rows (M)          x              x
//   columns (N)       x                     x
//   batch             x              x      x
//   reduce (K)                       x      x
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tuner/space/access.h"

namespace hone {

struct ContractionForm {
  Access left;
  Access right;
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::vector<std::string> batch;  // dims that index both operands, or neither
};

// Nothing when the stage is no contraction: no sum, no product of two reads (perhaps widened to the
// result's type).
std::optional<ContractionForm> MatchContractionForm(const Stage& stage);

}  // namespace hone
