// Frame: the canonical dimensions in which a workload sees an output tensor, and how operands that
// broadcast to that tensor are read in them. Neighbouring dimensions that no operand tells apart
// are one, so that equal computations of different models become byte-identical workloads. Every
// operator's builder ends here, with the epilogue that was fused into it.
#pragma once

#include <string>
#include <vector>

#include "compiler/ir/workload.h"

namespace hone {

// A tensor read elementwise: its shape broadcasts to the output's as in NumPy.
struct Operand {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  bool constant = false;  // its values are known when the model is compiled
};

// What is done to each value an operator computes before it is stored: `value` over the variables
// EpilogueValue (what was computed) and EpilogueOperand(j). Empty value: nothing.
struct Epilogue {
  Expr value;
  std::vector<Operand> operands;
};

Expr EpilogueValue(DType dtype);               // the variable "x"
Expr EpilogueOperand(int index, DType dtype);  // the variable "v<index>"

// Some neighbouring logical dimensions, seen as one.
struct DimGroup {
  std::string name;
  int first = 0;  // logical dimension
  int count = 1;
};

class Frame {
 public:
  // The groups cover `shape` in order.
  Frame(std::vector<int64_t> shape, std::vector<DimGroup> groups);

  // The coarsest frame that tells all operands' broadcasting apart. Rank 4 is taken as images:
  // n, c and the spatial dimensions (m, or h and w); of other ranks dimensions of extent 1 vanish
  // and the names are m | m, n | b, m, n | d0, d1, ...
  static Frame Collapsed(const std::vector<int64_t>& shape, const std::vector<Operand>& operands);
  // One group a dimension, with these names.
  static Frame Plain(const std::vector<int64_t>& shape, const std::vector<std::string>& names);

  // Whether no group mixes dimensions that an operand has with ones it lacks.
  bool Fits(const std::vector<Operand>& operands) const;

  std::vector<Dim> Dims() const;
  std::vector<Expr> Vars() const;
  std::vector<Expr> Shape() const;

  // Adds the operand's buffer and returns its load: constants without the dimensions they do not
  // have, as b, b2, ...; others of the output's full shape as r, r2, ..., or `full_name` if given
  // and free; other shapes as b too.
  Expr AddOperand(const Operand& operand, Workload& workload,
                  absl::string_view full_name = "r") const;

 private:
  int64_t Extent(const DimGroup& group) const;
  std::vector<int64_t> shape_;
  std::vector<DimGroup> groups_;
};

// An argument buffer of constant shape.
Buffer ArgumentBuffer(absl::string_view name, DType dtype, BufferRole role,
                      const std::vector<int64_t>& shape);
std::vector<Expr> IntExprs(const std::vector<int64_t>& values);

// The type that sums of products of two element types have: f32 of floats up to f32, i32 of
// integers.
DType SumType(DType left, DType right);
// left * right in the type of their sums.
Expr ProductOf(const Expr& left, const Expr& right);

// What an operator computes at each point of its frame: `body` combined over `reduce`.
struct Core {
  DType dtype = DType::kF32;
  Combiner combiner = Combiner::kNone;
  std::vector<Dim> reduce;
  Expr body;
};

// Adds the epilogue's operands, output y, and the stages: y alone, or c and then y where the core
// reduces and something is done to its value.
void Finish(const Core& core, const Frame& frame, const Epilogue& epilogue, Workload& workload);

}  // namespace hone
