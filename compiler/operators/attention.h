// Attention: softmax(score(q k^T)) v over batches of heads, as one workload, so that the scores of
// a few rows stay near instead of crossing memory twice. `score` is what the model does to the
// products before the softmax: scale, mask.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

struct Attention {
  Operand q;                 // [...,M,D]
  Operand k;                 // [...,D,N]
  bool transpose_k = false;  // k is [...,N,D]
  Operand v;                 // [...,N,E]
  Epilogue score;            // of the products [...,M,N]; an empty value: nothing
};

// Whether the operands' batches are alike, as the workload wants them.
bool IsAttention(const Attention& attention);

// [...,M,N] and [...,M,E].
std::vector<int64_t> ScoreShape(const Attention& attention);
std::vector<int64_t> AttentionShape(const Attention& attention);

Workload AttentionWorkload(const Attention& attention);

}  // namespace hone
