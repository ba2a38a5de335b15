// A chain grows from one reduction: readers that reduce the same rows or compute elementwise on
// them, and elementwise producers that nobody else reads. It must leave the graph a graph (nothing
// outside of it both needs it and feeds it) and have one value that others read.
#include "compiler/graph/fuse_rows.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/operators/row_chain.h"
#include "compiler/operators/softmax.h"

namespace hone {
namespace {

// What all nodes of a chain agree on.
struct Rows {
  std::vector<int64_t> shape;
  int first = 0;  // dimensions [first, rank) are a row

  std::vector<int64_t> PerRow() const {
    std::vector<int64_t> per_row = shape;
    std::fill(per_row.begin() + first, per_row.end(), 1);
    return per_row;
  }
  friend bool operator==(const Rows&, const Rows&) = default;
};

// The rows that a reduction or softmax goes over; nothing where these are not whole last
// dimensions. Sums over images stay with the convolutions around them, and their layouts.
std::optional<Rows> RowsOf(const Graph& graph, const Node& node) {
  if (graph.values[node.output].type.dtype != DType::kF32) return std::nullopt;
  if (node.inputs.empty() || node.own_inputs != 1) return std::nullopt;
  const TensorType& x = graph.values[node.inputs[0]].type;
  if (x.dtype != DType::kF32) return std::nullopt;
  const int rank = static_cast<int>(x.shape.size());
  Rows rows{x.shape, rank};
  if (const auto* reduction = std::get_if<ReductionOp>(&node.op)) {
    while (rows.first > 0 && reduction->reduced[rows.first - 1]) --rows.first;
    for (int d = 0; d < rows.first; ++d) {
      if (reduction->reduced[d] && x.shape[d] > 1) return std::nullopt;
    }
  } else if (const auto* softmax = std::get_if<SoftmaxOp>(&node.op)) {
    if (softmax->first + softmax->count != rank) return std::nullopt;
    rows.first = softmax->first;
  } else {
    return std::nullopt;
  }
  const bool images = rank == 4 && rows.first < 3;
  if (images || rows.shape == rows.PerRow()) return std::nullopt;
  return rows;
}

class RowFuser {
 public:
  explicit RowFuser(Graph& graph) : graph_(graph), used_(graph.nodes.size(), false) {}

  void Run() {
    std::map<int, Node> chains;  // by the place of the last of their nodes
    for (size_t seed = 0; seed < graph_.nodes.size(); ++seed) {
      if (used_[seed]) continue;
      const std::optional<Rows> rows = RowsOf(graph_, graph_.nodes[seed]);
      if (!rows) continue;
      const std::set<int> members = Grow(static_cast<int>(seed), *rows);
      if (members.size() < 2) continue;
      for (int n : members) used_[n] = true;
      chains.emplace(*members.rbegin(), MakeNode(members, *rows));
    }
    if (chains.empty()) return;
    std::vector<Node> kept;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      auto chain = chains.find(static_cast<int>(n));
      if (chain != chains.end()) kept.push_back(std::move(chain->second));
      if (!used_[n]) kept.push_back(std::move(graph_.nodes[n]));
    }
    graph_.nodes = std::move(kept);
  }

 private:
  bool IsElementwise(const Node& node) const {
    return std::holds_alternative<ElementwiseOp>(node.op);
  }

  bool Fits(const Node& node, const Rows& rows) const {
    if (const std::optional<Rows> own = RowsOf(graph_, node)) return *own == rows;
    const TensorType& y = graph_.values[node.output].type;
    return IsElementwise(node) && y.dtype == DType::kF32 &&
           (y.shape == rows.shape || y.shape == rows.PerRow());
  }

  std::set<int> OutputsOf(const std::set<int>& nodes) const {
    std::set<int> outputs;
    for (int n : nodes) outputs.insert(graph_.nodes[n].output);
    return outputs;
  }

  // Members' values that others read, in the order they are computed.
  std::vector<int> ValuesReadOutside(const std::set<int>& members) const {
    std::set<int> read(graph_.outputs.begin(), graph_.outputs.end());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (members.count(static_cast<int>(n))) continue;
      read.insert(graph_.nodes[n].inputs.begin(), graph_.nodes[n].inputs.end());
    }
    std::vector<int> values;
    for (int n : members) {
      if (read.count(graph_.nodes[n].output)) values.push_back(n);
    }
    return values;
  }

  // Whether the members can stand at the place of the last of them: what they read is there by
  // then, and nobody before it needs what they compute.
  bool CanBeOne(const std::set<int>& members) const {
    std::set<int> needs_members = OutputsOf(members);
    const std::set<int> own = needs_members;
    for (int n = *members.begin(); n <= *members.rbegin(); ++n) {
      const Node& node = graph_.nodes[n];
      const bool member = members.count(n) > 0;
      for (int value : node.inputs) {
        if (member && needs_members.count(value) && !own.count(value)) return false;
        if (!member && needs_members.count(value)) needs_members.insert(node.output);
      }
    }
    return true;
  }

  bool Touches(int n, const std::set<int>& members) const {
    const Node& node = graph_.nodes[n];
    const std::set<int> own = OutputsOf(members);
    for (int value : node.inputs) {
      if (own.count(value)) return true;
    }
    if (!IsElementwise(node) || graph_.IsOutput(node.output)) return false;
    bool inside = false;
    for (size_t reader = 0; reader < graph_.nodes.size(); ++reader) {
      const std::vector<int>& inputs = graph_.nodes[reader].inputs;
      if (std::find(inputs.begin(), inputs.end(), node.output) == inputs.end()) continue;
      if (!members.count(static_cast<int>(reader))) return false;
      inside = true;
    }
    return inside;
  }

  std::set<int> Grow(int seed, const Rows& rows) const {
    std::set<int> members = {seed};
    for (bool grown = true; grown;) {
      grown = false;
      for (int n = 0; n < static_cast<int>(graph_.nodes.size()); ++n) {
        if (used_[n] || members.count(n) || !Fits(graph_.nodes[n], rows)) continue;
        if (!Touches(n, members)) continue;
        std::set<int> larger = members;
        larger.insert(n);
        if (!CanBeOne(larger)) continue;
        members = std::move(larger);
        grown = true;
      }
    }
    // The values that others read must be one: the first is computed, what follows stays outside.
    for (std::vector<int> read = ValuesReadOutside(members); read.size() > 1;
         read = ValuesReadOutside(members)) {
      members.erase(members.find(read.back()), members.end());
      if (members.empty()) break;
    }
    return CanBePlaced(members) ? members : std::set<int>{};
  }

  // Others that read the value stand behind the last member.
  bool CanBePlaced(const std::set<int>& members) const {
    if (members.empty()) return false;
    const std::vector<int> read = ValuesReadOutside(members);
    if (read.size() != 1 || !CanBeOne(members)) return false;
    for (int n = 0; n < *members.rbegin(); ++n) {
      if (members.count(n)) continue;
      const std::vector<int>& inputs = graph_.nodes[n].inputs;
      if (std::find(inputs.begin(), inputs.end(), graph_.nodes[read[0]].output) != inputs.end()) {
        return false;
      }
    }
    bool reduces = false;
    for (int n : members) reduces |= !IsElementwise(graph_.nodes[n]);
    return reduces;
  }

  Node MakeNode(const std::set<int>& members, const Rows& rows) {
    RowChainOp chain{.shape = rows.shape, .first = rows.first};
    Node fused;
    std::map<int, Expr> known;  // by value: an operand, or a stage
    auto variable = [&](int value) {
      auto [at, is_new] = known.try_emplace(value);
      if (is_new) {
        at->second =
            EpilogueOperand(static_cast<int>(fused.inputs.size()), graph_.values[value].type.dtype);
        fused.inputs.push_back(value);
      }
      return at->second;
    };
    // A chain numbers its stages.
    auto add = [&](absl::string_view, Combiner combiner, bool per_row, const Expr& body) {
      chain.stages.push_back({combiner, per_row, body});
      return RowStageValue(static_cast<int>(chain.stages.size()) - 1);
    };
    for (int n : members) {
      const Node& node = graph_.nodes[n];
      const bool per_row = graph_.ShapeOf(node.output) == rows.PerRow() &&
                           !std::holds_alternative<SoftmaxOp>(node.op);
      Expr value;
      if (const auto* reduction = std::get_if<ReductionOp>(&node.op)) {
        value = add("", reduction->combiner, true, variable(node.inputs[0]));
      } else if (const auto* softmax = std::get_if<SoftmaxOp>(&node.op)) {
        value = AddSoftmax(*softmax, variable(node.inputs[0]), add);
      }
      if (node.epilogue) {
        std::map<std::string, Expr> values;
        if (value) values["x"] = value;
        for (size_t j = node.own_inputs; j < node.inputs.size(); ++j) {
          values[absl::StrCat("v", j - node.own_inputs)] = variable(node.inputs[j]);
        }
        value = add("", Combiner::kNone, per_row, Substitute(node.epilogue, values));
      }
      known[node.output] = value;
      absl::StrAppend(&fused.name, fused.name.empty() ? "" : "+", node.name);
      fused.output = node.output;
    }
    fused.output = graph_.nodes[ValuesReadOutside(members)[0]].output;
    fused.own_inputs = static_cast<int>(fused.inputs.size());
    fused.op = std::move(chain);
    return fused;
  }

  static Expr AddSoftmax(const SoftmaxOp& softmax, const Expr& x, const AddRowStage& add) {
    if (softmax.log) {
      const LogSoftmaxTerms terms = AddLogSoftmaxStages(x, add);
      const Expr log = add("", Combiner::kNone, true, Unary(UnaryOp::kLog, terms.total));
      return add("", Combiner::kNone, false, terms.shifted - log);
    }
    const SoftmaxFactors factors = AddSoftmaxStages(x, add);
    return add("", Combiner::kNone, false, factors.e * factors.inverse);
  }

  Graph& graph_;
  std::vector<bool> used_;
};

}  // namespace

void FuseRows(Graph& graph) { RowFuser(graph).Run(); }

}  // namespace hone
