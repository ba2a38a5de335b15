// Convolutions and transposed convolutions as workloads, over one to three spatial dimensions.
// Used by graph/partition. Weights need not be constant.
#pragma once

#include <string>
#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

// One entry a spatial dimension.
struct Window {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
};

// Canonical names of `rank` spatial output dimensions (d, h, w) and of a window's (t, p, q).
std::vector<std::string> SpatialNames(size_t rank);
std::vector<std::string> WindowNames(size_t rank);

struct Convolution {
  std::vector<int64_t> x;  // shape [N, C, spatial...]
  std::vector<int64_t> w;  // shape [O, C/groups, kernel...]
  std::vector<int64_t> y;  // shape [N, O, spatial...]
  Window window;
  int64_t groups = 1;
  bool constant_weights = true;
  DType x_type = DType::kF32;
  DType w_type = DType::kF32;
};

// Arguments x, w, the epilogue's operands, y; sums are f32 of floats, i32 of integers. Canonical
// forms, of f32:
//   general          y[n,o,h,w] sum [i,p,q] x[n,i,h*s+p*d-pad,...] * w[o,i,p,q]
//   1x1, no stride   y[n,o,m] sum [i] x[n,i,m] * w[o,i], the spatial dimensions as one
//   depthwise        y[n,c,h,w] sum [p,q] x[n,c,...] * w[c,p,q]
//   grouped          y[n,g,o,h,w] sum [i,p,q] x[n,g,i,...] * w[g,o,i,p,q]
// Loads are guarded with `else 0` only where a window can leave the input.
Workload ConvolutionWorkload(const Convolution& convolution, const Epilogue& epilogue);

// `w` is [C, O/groups, kernel...]. Output h gathers the taps p with p = h + pad (mod stride), that
// is p = p'*stride + (h + pad) mod stride, from x at floordiv(h + pad, stride) - p':
//   y[n,o,h,w] sum [i,p,q] x[n,i,floordiv(h+pad,s)-p,... else 0] * w[i,o,p*s+floormod(h+pad,s),...]
// with ceil(kernel / stride) taps a dimension, so none is wasted. Dilated windows select instead
// those taps p of all for which h + pad - p*dilation is a multiple of the stride.
Workload ConvolutionTransposeWorkload(const Convolution& convolution, const Epilogue& epilogue);

}  // namespace hone
