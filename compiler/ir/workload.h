// Workload, one of the five nouns: what a kernel computes, and nothing of how. Buffers with logical
// shapes and an ordered list of stages, each a tensor expression over named dimensions. Made by
// compiler/operators, scheduled by compiler/schedule, computed slowly by operators/reference. Its
// text form is its identity: records are keyed by the text's digest.
#pragma once

#include <string>
#include <vector>

#include "compiler/ir/stmt.h"

namespace hone {

// A loop dimension: its extent is a constant or a parameter of the workload.
struct Dim {
  std::string name;
  Expr extent;
};

enum class Combiner : uint8_t { kNone, kSum, kProd, kMax, kMin };

// One tensor expression: for every point of `dims`, name[dims] = body, or the combination of body
// over `reduce`. Reductions start from the combiner's neutral value (0, 1, -inf, +inf). The stage
// whose name is an output buffer's writes that buffer; any other makes a tensor of its own, whose
// shape is the extents of `dims`.
struct Stage {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<Dim> dims;
  Combiner combiner = Combiner::kNone;
  std::vector<Dim> reduce;
  Expr body;  // over dims, reduce dims and parameters; loads buffers and earlier stages
};

struct Workload {
  std::vector<Param> params;
  std::vector<Buffer> buffers;  // role input, constant or output; logical shapes; kernel arguments
  std::vector<Stage> stages;    // each reads only what stands before it

  const Buffer* FindBuffer(absl::string_view name) const;  // null if there is none
  const Stage* FindStage(absl::string_view name) const;    // null if there is none
  // Logical shape of a buffer or of a stage's tensor.
  std::vector<Expr> ShapeOf(absl::string_view name) const;
  DType DTypeOf(absl::string_view name) const;

  // Checks names, ranks, types, order and extents; says which stage and what.
  Status Verify() const;

  // workload/1
  // input x f32 [1,64,56,56]
  // constant w f32 [64,64,3,3]
  // output y f32 [1,64,56,56]
  // stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = x[n,i,h+p+-1,w+q+-1 else
  // 0x0p+0]*w[o,i,p,q] stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w],0x0p+0)
  std::string ToString() const;
  static StatusOr<Workload> Parse(absl::string_view text);  // parses and verifies

  // Digest of the text form.
  std::string Key() const;
};

// Multiply-adds count two; every other float operation one. At the top of every parameter's range.
double FlopCount(const Workload& workload);
// Bytes of all argument buffers, each counted once.
int64_t ArgumentBytes(const Workload& workload);
// The neutral value a reduction starts from.
Expr NeutralValue(Combiner combiner, DType dtype);
// accumulator (+) value
Expr Combine(Combiner combiner, Expr accumulator, Expr value);
absl::string_view CombinerName(Combiner combiner);

}  // namespace hone
