// Matrix products as workloads: ONNX's MatMul and Gemm, with batches, transposed operands read
// through the index map and never copied. Used by graph/partition.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

struct MatMul {
  std::vector<int64_t> x;  // shape [batch..., M, K], or [K, M] transposed
  std::vector<int64_t> w;  // shape [batch..., K, N], or [N, K] transposed; batches broadcast
  bool transpose_x = false;
  bool transpose_w = false;
  DType x_type = DType::kF32;
  DType w_type = DType::kF32;
  bool constant_x = false;
  bool constant_w = true;
};

// Shape [batch..., M, N] of the product.
std::vector<int64_t> MatMulShape(const MatMul& matmul);

// Arguments x, w, the epilogue's operands, y; sums are f32 of floats, i32 of integers. Canonical
// forms, of f32:
//   y[m,n] sum [k] x[m,k] * w[k,n]         x's batch is part of m where w has none
//   y[b,m,n] sum [k] x[b,m,k] * w[b,k,n]   equal batches are one dimension
//   y[d0,d1,m,n] ...                       batches that broadcast stay apart
Workload MatMulWorkload(const MatMul& matmul, const Epilogue& epilogue);

}  // namespace hone
