// OnnxNode: one node of an ONNX graph as its builder sees it: attributes with defaults, inputs as
// graph values, and shorthands for adding graph nodes under its name. Used by onnx_<family>.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "compiler/graph/graph_builder.h"
#include "onnx/onnx_pb.h"

namespace hone {

class OnnxNode {
 public:
  // `inputs`: graph values, -1 for absent optional ones.
  OnnxNode(const onnx::NodeProto& proto, int64_t opset, GraphBuilder& graph,
           std::vector<int> inputs);

  const std::string& name() const { return name_; }
  int64_t opset() const { return opset_; }
  GraphBuilder& graph() { return graph_; }

  // --- Inputs.
  int InputCount() const { return static_cast<int>(inputs_.size()); }
  bool Has(int i) const { return i < InputCount() && inputs_[i] >= 0; }
  StatusOr<int> Input(int i) const;              // an error if it is absent
  StatusOr<std::vector<int>> AllInputs() const;  // at least one, none absent
  const std::vector<int64_t>& Shape(int value) const { return graph_.ShapeOf(value); }
  DType TypeOf(int value) const { return graph_.TypeOf(value).dtype; }
  int64_t Rank(int value) const { return static_cast<int64_t>(Shape(value).size()); }
  // Input `i`, which shapes or indices depend on and which must be known; `what` names it.
  StatusOr<const Tensor*> Known(int i, absl::string_view what) const;
  StatusOr<std::vector<int64_t>> KnownInts(int i, absl::string_view what) const;

  // --- Attributes.
  bool HasAttribute(absl::string_view name) const { return Find(name) != nullptr; }
  int64_t Int(absl::string_view name, int64_t otherwise) const;
  double Float(absl::string_view name, double otherwise) const;
  std::string String(absl::string_view name, absl::string_view otherwise) const;
  std::vector<int64_t> Ints(absl::string_view name, std::vector<int64_t> otherwise = {}) const;
  std::vector<double> Floats(absl::string_view name) const;
  const onnx::AttributeProto* Find(absl::string_view name) const;  // null if absent

  // An error naming the type if input `value` is not of the kind.
  Status WantFloat(int value) const;
  Status WantBool(int value) const;
  Status WantInteger(int value) const;  // not bool

  // An axis counted from the end if negative; an error outside [0, rank).
  StatusOr<int> Axis(int64_t axis, int64_t rank) const;

  // --- Outputs.
  int OutputCount() const { return proto_.output_size(); }
  bool WantsOutput(int i) const { return i < proto_.output_size() && !proto_.output(i).empty(); }
  // Nothing for an output that the node leaves out.
  void SetOutput(int i, int value) {
    if (i < OutputCount()) outputs_[i] = value;
  }
  // Sets output 0 from a result; gives its error back.
  Status Done(StatusOr<int> value);
  const std::vector<int>& outputs() const { return outputs_; }

  // --- Adding nodes.
  // An elementwise node of `values`, whose variables `build` gets in order. Constants of one
  // element become numbers in the expression. Values of different types are an error.
  StatusOr<int> Elementwise(const std::vector<int>& values,
                            const std::function<Expr(const std::vector<Expr>&)>& build);
  // The same for a `build` that takes different types.
  StatusOr<int> MixedElementwise(const std::vector<int>& values,
                                 const std::function<Expr(const std::vector<Expr>&)>& build);
  // A reduction that keeps its dimensions.
  StatusOr<int> Reduce(int value, Combiner combiner, const std::vector<bool>& reduced);
  // The mean over dimensions, which stay with extent 1.
  StatusOr<int> Mean(int value, const std::vector<bool>& reduced);
  StatusOr<int> Transpose(int value, const std::vector<int>& permutation);
  StatusOr<int> Reshape(int value, std::vector<int64_t> shape) {
    return graph_.Reshape(name_, value, std::move(shape));
  }
  StatusOr<int> IndexMap(std::vector<int> values, std::vector<int64_t> shape, Expr body) {
    return graph_.IndexMap(name_, std::move(values), std::move(shape), std::move(body));
  }

 private:
  const onnx::NodeProto& proto_;
  const int64_t opset_;
  GraphBuilder& graph_;
  const std::vector<int> inputs_;
  const std::string name_;
  std::vector<int> outputs_;
};

// A number of any element type.
Expr Number(double value, DType dtype);
// The variables d0, d1, ... of an index map of this rank.
std::vector<Expr> IndexVars(int64_t rank);

}  // namespace hone
