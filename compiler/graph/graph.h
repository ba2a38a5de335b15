// Graph: a whole model as operators on tensors of known shape. The importer builds it, the passes
// beside this file rewrite it in place, partition turns it into a ModelPlan. The set of operators
// is small and closed: what formats call Relu, Mul or Where is one Elementwise with an expression,
// and Transpose, Slice or Gather one IndexMap with an index expression.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/operators/convolution.h"
#include "compiler/operators/pooling.h"
#include "compiler/operators/row_chain.h"

namespace hone {

struct TensorType {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};
std::string ToString(const TensorType& type);  // "f32[1,3,224,224]"

// --- Operators: their attributes; inputs are the node's. ----------------------------------------
struct ConvolutionOp {  // x [N,C,...], w [O,C/groups,...]
  Window window;
  int64_t groups = 1;
};
struct ConvolutionTransposeOp {  // x [N,C,...], w [C,O/groups,...]
  Window window;                 // pads_end is not used: the extents below say where it ends
  int64_t groups = 1;
  std::vector<int64_t> output_spatial;
};
struct MatMulOp {  // x [...,M,K], w [...,K,N], each perhaps with its last two exchanged
  bool transpose_x = false;
  bool transpose_w = false;
};
struct PoolingOp {  // x [N,C,...]
  Pooling::Kind kind = Pooling::Kind::kMax;
  Window window;
  bool count_padding = false;
  bool ceil_mode = false;
};
struct ReductionOp {  // x; reduced dimensions stay with extent 1
  Combiner combiner = Combiner::kSum;
  std::vector<bool> reduced;  // one a dimension
};
struct SoftmaxOp {  // x, normalised over dimensions [first, first + count)
  int first = 0;
  int count = 1;
  bool log = false;
};
struct AttentionOp {  // operators/attention.h: q, k, v, then the score's operands
  bool transpose_k = false;
  Expr score;  // empty for nothing
};
struct RowChainOp {  // operators/row_chain.h: inputs are the chain's operands
  std::vector<int64_t> shape;
  int first = 0;
  std::vector<RowStage> stages;
};
struct BatchNormOp {  // x [N,C,...], scale, bias, mean, variance, each [C]
  double epsilon = 1e-5;
};
struct ElementwiseOp {};  // no inputs but the epilogue's, whose expression is what it computes
struct IndexMapOp {       // operators/index_map.h: inputs are v0, v1, ...
  std::vector<int64_t> shape;
  Expr body;
};
struct ReshapeOp {  // x under another shape: never computed, only seen differently
  std::vector<int64_t> shape;
};
struct ConcatOp {
  int axis = 0;
};

using Operator = std::variant<ConvolutionOp, ConvolutionTransposeOp, MatMulOp, PoolingOp,
                              ReductionOp, SoftmaxOp, AttentionOp, RowChainOp, BatchNormOp,
                              ElementwiseOp, IndexMapOp, ReshapeOp, ConcatOp>;

// "convolution", "elementwise", ...: for messages and kernel names.
absl::string_view OperatorName(const Operator& op);

// What is done to one of an operator's own inputs before it is read (operators/prologue.h).
struct NodePrologue {
  Expr value;        // empty for nothing; its type is the one that the operator sees
  int input = 0;     // own input; broadcasting operands aside, of the computed value's shape
  int operands = 0;  // they broadcast to that input
};

struct Node {
  std::string name;  // what the model calls the nodes it computes
  Operator op;
  // The operator's own inputs, then the epilogue's operands, then the prologue's, as indices of
  // values.
  std::vector<int> inputs;
  int own_inputs = 0;
  // What is done to each computed value (operators/frame.h); empty for nothing. Elementwise nodes
  // have it always. Its operands broadcast to the output.
  Expr epilogue;
  NodePrologue prologue;
  int output = -1;
};

struct Value {
  std::string name;  // unique
  TensorType type;
  std::shared_ptr<const Tensor> constant;  // null if it is computed or an input
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;  // in an order that can be run
  std::vector<int> inputs;
  std::vector<int> outputs;

  bool IsConstant(int value) const { return values[value].constant != nullptr; }
  const std::vector<int64_t>& ShapeOf(int value) const { return values[value].type.shape; }
  bool IsInput(int value) const;
  bool IsOutput(int value) const;
  // The position among `nodes` of what computes each value, -1 for inputs and constants.
  std::vector<int> Producers() const;
  // How many nodes and graph outputs read each value; a node that reads it twice counts once.
  std::vector<int> ReaderCounts() const;

  // Adds a constant whose name begins with `name`.
  int AddConstant(Tensor tensor, absl::string_view name);

  // One line a node, for people and tests.
  std::string ToString() const;
};

}  // namespace hone
