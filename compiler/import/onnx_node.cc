#include "compiler/import/onnx_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

Expr Number(double value, DType dtype) {
  if (IsFloat(dtype)) {
    return Float(dtype == DType::kF64 ? value : static_cast<float>(value), {dtype, 1});
  }
  return Int(static_cast<int64_t>(value), {dtype, 1});
}

std::vector<Expr> IndexVars(int64_t rank) {
  std::vector<Expr> vars;
  for (int64_t d = 0; d < rank; ++d) vars.push_back(Var(absl::StrCat("d", d)));
  return vars;
}

OnnxNode::OnnxNode(const onnx::NodeProto& proto, int64_t opset, GraphBuilder& graph,
                   std::vector<int> inputs)
    : proto_(proto),
      opset_(opset),
      graph_(graph),
      inputs_(std::move(inputs)),
      name_(!proto.name().empty()     ? proto.name()
            : proto.output_size() > 0 ? proto.output(0)
                                      : proto.op_type()),
      outputs_(proto.output_size(), -1) {}

StatusOr<int> OnnxNode::Input(int i) const {
  if (Has(i)) return inputs_[i];
  return absl::InvalidArgumentError(absl::StrCat("input ", i, " is missing"));
}

StatusOr<std::vector<int>> OnnxNode::AllInputs() const {
  if (inputs_.empty()) return absl::InvalidArgumentError("it has no inputs");
  for (int i = 0; i < InputCount(); ++i) HONE_RETURN_IF_ERROR(Input(i).status());
  return inputs_;
}

StatusOr<const Tensor*> OnnxNode::Known(int i, absl::string_view what) const {
  HONE_ASSIGN_OR_RETURN(const int value, Input(i));
  if (const Tensor* tensor = graph_.ConstantOf(value)) return tensor;
  return absl::UnimplementedError(absl::StrCat(
      "its ", what,
      " is computed while the model runs; only values known beforehand are supported"));
}

StatusOr<std::vector<int64_t>> OnnxNode::KnownInts(int i, absl::string_view what) const {
  HONE_ASSIGN_OR_RETURN(const Tensor* tensor, Known(i, what));
  return tensor->ToInts();
}

const onnx::AttributeProto* OnnxNode::Find(absl::string_view name) const {
  for (const onnx::AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

int64_t OnnxNode::Int(absl::string_view name, int64_t otherwise) const {
  const onnx::AttributeProto* attribute = Find(name);
  return attribute == nullptr ? otherwise : attribute->i();
}

double OnnxNode::Float(absl::string_view name, double otherwise) const {
  const onnx::AttributeProto* attribute = Find(name);
  return attribute == nullptr ? otherwise : attribute->f();
}

std::string OnnxNode::String(absl::string_view name, absl::string_view otherwise) const {
  const onnx::AttributeProto* attribute = Find(name);
  return attribute == nullptr ? std::string(otherwise) : attribute->s();
}

std::vector<int64_t> OnnxNode::Ints(absl::string_view name, std::vector<int64_t> otherwise) const {
  const onnx::AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return otherwise;
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<double> OnnxNode::Floats(absl::string_view name) const {
  const onnx::AttributeProto* attribute = Find(name);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

StatusOr<int> OnnxNode::Axis(int64_t axis, int64_t rank) const {
  const int64_t normal = axis < 0 ? axis + rank : axis;
  if (normal >= 0 && normal < rank) return static_cast<int>(normal);
  return absl::InvalidArgumentError(
      absl::StrCat("axis ", axis, " is outside a tensor of ", rank, " dimensions"));
}

Status OnnxNode::Done(StatusOr<int> value) {
  if (!value.ok()) return value.status();
  SetOutput(0, *value);
  return absl::OkStatus();
}

Status OnnxNode::WantFloat(int value) const {
  if (IsFloat(TypeOf(value))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("an operand is ", DTypeName(TypeOf(value)), ", not a float"));
}

Status OnnxNode::WantBool(int value) const {
  if (TypeOf(value) == DType::kBool) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("an operand is ", DTypeName(TypeOf(value)), ", not bool"));
}

Status OnnxNode::WantInteger(int value) const {
  if (!IsFloat(TypeOf(value)) && TypeOf(value) != DType::kBool) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("an operand is ", DTypeName(TypeOf(value)), ", not an integer"));
}

StatusOr<int> OnnxNode::Elementwise(const std::vector<int>& values,
                                    const std::function<Expr(const std::vector<Expr>&)>& build) {
  for (int value : values) {
    if (TypeOf(value) == TypeOf(values[0])) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "its operands are ", DTypeName(TypeOf(values[0])), " and ", DTypeName(TypeOf(value))));
  }
  return MixedElementwise(values, build);
}

StatusOr<int> OnnxNode::MixedElementwise(
    const std::vector<int>& values, const std::function<Expr(const std::vector<Expr>&)>& build) {
  int64_t rank = -1;
  for (int value : values) {
    if (graph_.ConstantOf(value) == nullptr) rank = std::max(rank, Rank(value));
  }
  std::vector<int> operands;
  std::vector<Expr> exprs;
  for (int value : values) {
    const Tensor* constant = graph_.ConstantOf(value);
    if (constant != nullptr && constant->ElementCount() == 1 && Rank(value) <= rank) {
      exprs.push_back(IsFloat(constant->dtype)
                          ? hone::Float(constant->Get(0), {constant->dtype, 1})
                          : hone::Int(constant->GetInt(0), {constant->dtype, 1}));
      continue;
    }
    auto found = std::find(operands.begin(), operands.end(), value);
    exprs.push_back(EpilogueOperand(static_cast<int>(found - operands.begin()), TypeOf(value)));
    if (found == operands.end()) operands.push_back(value);
  }
  return graph_.Elementwise(name_, operands, build(exprs));
}

StatusOr<int> OnnxNode::Reduce(int value, Combiner combiner, const std::vector<bool>& reduced) {
  return graph_.Add(name_, ReductionOp{combiner, reduced}, {value});
}

StatusOr<int> OnnxNode::Mean(int value, const std::vector<bool>& reduced) {
  int64_t count = 1;
  for (size_t d = 0; d < reduced.size(); ++d) count *= reduced[d] ? Shape(value)[d] : 1;
  HONE_ASSIGN_OR_RETURN(const int sum, Reduce(value, Combiner::kSum, reduced));
  return Elementwise({sum}, [&](const std::vector<Expr>& v) {
    const DType dtype = v[0].type().dtype;
    if (IsFloat(dtype)) return v[0] * Number(1.0 / static_cast<double>(count), dtype);
    return Binary(BinaryOp::kDiv, v[0], Number(static_cast<double>(count), dtype));
  });
}

StatusOr<int> OnnxNode::Transpose(int value, const std::vector<int>& permutation) {
  const std::vector<int64_t> shape = Shape(value);
  // Where only dimensions of extent 1 change places, memory stays as it is.
  bool moves = false;
  int last = -1;
  std::vector<int64_t> transposed;
  std::vector<Expr> index(shape.size());
  for (size_t d = 0; d < permutation.size(); ++d) {
    transposed.push_back(shape[permutation[d]]);
    index[permutation[d]] = Var(absl::StrCat("d", d));
    if (shape[permutation[d]] == 1) continue;
    moves = moves || permutation[d] < last;
    last = permutation[d];
  }
  if (!moves) return Reshape(value, transposed);
  return IndexMap({value}, transposed, Load("v0", TypeOf(value), index));
}

}  // namespace hone
