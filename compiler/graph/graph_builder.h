// GraphBuilder: how importers write a Graph. Every node's type is inferred as it is added, and a
// node whose inputs are all constant is computed at once, so that chains of shape arithmetic are
// constants by the time a Reshape asks for them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/graph/graph.h"

namespace hone {

class GraphBuilder {
 public:
  explicit GraphBuilder(std::string model_name) { graph_.name = std::move(model_name); }

  const Graph& graph() const { return graph_; }
  const TensorType& TypeOf(int value) const { return graph_.values[value].type; }
  const std::vector<int64_t>& ShapeOf(int value) const { return graph_.ShapeOf(value); }
  // Null unless the value is known.
  const Tensor* ConstantOf(int value) const { return graph_.values[value].constant.get(); }

  int Input(const std::string& name, TensorType type);
  int Constant(Tensor tensor, const std::string& name = "constant");

  // Adds a node of which `own` are the operator's inputs. `name` becomes the node's, and with a
  // suffix where it is taken, the value's.
  StatusOr<int> Add(const std::string& name, Operator op, std::vector<int> own, Expr epilogue = {},
                    std::vector<int> operands = {});

  // Shorthands.
  StatusOr<int> Elementwise(const std::string& name, std::vector<int> operands, Expr expression);
  StatusOr<int> Reshape(const std::string& name, int value, std::vector<int64_t> shape);
  StatusOr<int> IndexMap(const std::string& name, std::vector<int> operands,
                         std::vector<int64_t> shape, Expr body);
  StatusOr<int> Cast(const std::string& name, int value, DType dtype);

  // Makes a value a graph output of this name. Inputs, constants and values that are outputs
  // already are copied.
  Status Output(const std::string& name, int value);

  Graph Take() && { return std::move(graph_); }

 private:
  std::string FreeName(const std::string& name);

  Graph graph_;
  std::map<std::string, int> names_;  // how often each was asked for
};

}  // namespace hone
