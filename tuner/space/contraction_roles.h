// The parts that the dims of a contraction play in a register tile: which is read in vectors, which
// one element at a time, which are summed over, and which instructions can take them several
// products at a time. Found from the index maps; the rules for contractions start from it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/tensor_intrinsic.h"
#include "tuner/space/contraction.h"
#include "tuner/space/rule.h"

namespace hone {

// The stage's dims in their parts to play, by their names in the anchor and in the output.
struct ContractionRoles {
  ContractionForm form;
  Access vector_side;                  // read in vectors
  Access broadcast_side;               // read one element at a time
  std::string panel;                   // anchor's name of the vector dim
  std::string panel_out;               // output's name of it
  std::string row, row_out;            // "" if every such dim has extent 1
  std::string block, block_out;        // the next dim of the broadcast side, "" if there is none
  std::vector<std::string> outer_out;  // all other dims of the output, as memory has them
  std::string main;                    // reduce dim that is tiled
  std::vector<std::string> others;     // the other reduce dims
};

// Nothing where the anchor is no contraction, or both operands have the vector dim (depthwise).
std::optional<ContractionRoles> FindContractionRoles(const RuleInput& input);

// The reduce dim that groups are made of: the longest that is an index by itself in both operands;
// "" if none is.
std::string GroupDim(const RuleInput& input, const ContractionRoles& roles);

// A dot intrinsic of the target that computes the contraction exactly, and the types that copies of
// the operands take for it.
struct DotChoice {
  const TensorIntrinsic* intrinsic = nullptr;
  DType vector_side = DType::kI16;
  DType broadcast_side = DType::kI16;
  int64_t terms = 0;  // that fp32 values are split into; 0: they are no such values
};

// The fastest alone: of bytes themselves before bytes widened. Empty where there is none, where the
// operands cannot be laid out for it, or where it cannot pay:
//
// fp32 values split into bf16 parts take `terms` products where fp32 takes one, and no machine's
// dots make more than `group` products in the time of a multiply-add (vdpbf16ps and bfdot: 2). So
// one term can pay, where the class allows rounding to bf16: 1/2 of the time. Three take 3/2 of the
// time of multiply-adds and six 3 times, on the best of machines. Of machines that also multiply
// tiles of bf16, dots make as many products as multiply-adds or half as many: they have none.
std::vector<DotChoice> DotsOf(const RuleInput& input, const ContractionRoles& roles);

}  // namespace hone
