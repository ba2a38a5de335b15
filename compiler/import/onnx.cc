#include "compiler/import/onnx.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "compiler/graph/graph_builder.h"
#include "compiler/import/onnx_node.h"
#include "compiler/import/onnx_reader.h"
#include "compiler/import/onnx_table.h"
#include "compiler/import/tensor_proto.h"

namespace hone {
namespace {

// What exporters write unless told otherwise; for advice.
constexpr int64_t kUsualOpset = 13;

// Elements of an input. Nothing real is as large; damaged files are.
constexpr int64_t kLargestInput = int64_t{1} << 31;

bool IsHalf(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

bool IsOnnxDomain(absl::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

// An error of one node, with what it takes to find it.
Status AtNode(const onnx::NodeProto& node, int64_t opset, const Status& status) {
  const std::string name = !node.name().empty()     ? node.name()
                           : node.output_size() > 0 ? node.output(0)
                                                    : std::string("?");
  return absl::Status(status.code(), absl::StrCat("node '", name, "' (", node.op_type(), ", opset ",
                                                  opset, "): ", status.message()));
}

class Importer {
 public:
  Importer(const onnx::ModelProto& model, const ImportOptions& options)
      : model_(model), options_(options), builder_(model.graph().name()) {}

  StatusOr<Graph> Run() {
    HONE_RETURN_IF_ERROR(ReadOpset());
    HONE_RETURN_IF_ERROR(AddInitializers(model_.graph()));
    HONE_RETURN_IF_ERROR(AddInputs());
    for (const onnx::NodeProto& node : model_.graph().node()) {
      HONE_RETURN_IF_ERROR(AddNode(node));
    }
    HONE_RETURN_IF_ERROR(AddOutputs());
    return std::move(builder_).Take();
  }

 private:
  // Models of the first days say nothing of opsets: they follow the rules of opset 1.
  Status ReadOpset() {
    for (const onnx::OperatorSetIdProto& import : model_.opset_import()) {
      if (IsOnnxDomain(import.domain())) opset_ = import.version();
    }
    if (opset_ < 1 || opset_ > kNewestOpset) {
      return absl::UnimplementedError(
          absl::StrCat("the model uses opset ", opset_, "; opsets up to ", kNewestOpset,
                       " are supported (export it with opset_version=", kNewestOpset, ")"));
    }
    return absl::OkStatus();
  }

  Status AddInitializers(const onnx::GraphProto& graph) {
    for (const onnx::TensorProto& proto : graph.initializer()) {
      HONE_ASSIGN_OR_RETURN(Tensor tensor, TensorFromProto(proto));
      if (IsHalf(tensor.dtype)) tensor = tensor.As(DType::kF32);
      values_[proto.name()] = builder_.Constant(std::move(tensor), proto.name());
    }
    if (graph.sparse_initializer_size() > 0) {
      return absl::UnimplementedError("the model has sparse weights; these are not supported");
    }
    return absl::OkStatus();
  }

  Status AddInputs() {
    std::set<std::string> names;
    for (const onnx::ValueInfoProto& input : model_.graph().input()) {
      names.insert(input.name());
      for (const auto& dim : input.type().tensor_type().shape().dim()) {
        if (!dim.dim_param().empty()) named_dims_.insert(dim.dim_param());
      }
    }
    for (const auto& [name, shape] : options_.input_shapes) {
      if (!names.contains(name)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--shape ", name, "=", absl::StrJoin(shape, "x"), ": the model has no input '", name,
            "'; its inputs are ", absl::StrJoin(names, ", ")));
      }
    }
    for (const onnx::ValueInfoProto& input : model_.graph().input()) {
      if (values_.contains(input.name())) continue;  // old models list their weights here too
      auto fixed = options_.fixed_inputs.find(input.name());
      if (fixed != options_.fixed_inputs.end()) {
        const Tensor& tensor = fixed->second;
        values_[input.name()] =
            builder_.Constant(IsHalf(tensor.dtype) ? tensor.As(DType::kF32) : tensor, input.name());
        continue;
      }
      HONE_ASSIGN_OR_RETURN(TensorType type, InputType(input));
      const bool half = IsHalf(type.dtype);
      int value = builder_.Input(input.name(), std::move(type));
      if (half) {
        HONE_ASSIGN_OR_RETURN(value, builder_.Cast(input.name() + ".f32", value, DType::kF32));
      }
      values_[input.name()] = value;
    }
    for (const auto& [name, value] : options_.dims) {
      if (!used_dims_.contains(name)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--shape ", name, "=", value, ": the model has no dimension '", name,
            "' and no one-dimensional input of that name; ",
            named_dims_.empty()
                ? "it leaves none open"
                : absl::StrCat("its open dimensions are ", absl::StrJoin(named_dims_, ", "))));
      }
    }
    return absl::OkStatus();
  }

  StatusOr<TensorType> InputType(const onnx::ValueInfoProto& input) {
    const onnx::TypeProto::Tensor& proto = input.type().tensor_type();
    if (!input.type().has_tensor_type() || !proto.has_elem_type()) {
      return absl::UnimplementedError(
          absl::StrCat("input '", input.name(), "' is no tensor; only tensors are supported"));
    }
    auto dtype = DTypeFromOnnx(proto.elem_type());
    if (!dtype.ok()) {
      return absl::Status(dtype.status().code(),
                          absl::StrCat("input '", input.name(), "': ", dtype.status().message()));
    }
    HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, InputShape(input.name(), proto));
    int64_t count = 1;
    for (int64_t extent : shape) {
      if (extent < 0 || (extent > 0 && count > kLargestInput / extent)) {
        return absl::InvalidArgumentError(absl::StrCat("input '", input.name(), "' of shape ",
                                                       ShapeText(shape), " is impossibly large"));
      }
      count *= std::max<int64_t>(extent, 1);
    }
    return TensorType{*dtype, std::move(shape)};
  }

  StatusOr<std::vector<int64_t>> InputShape(const std::string& name,
                                            const onnx::TypeProto::Tensor& proto) {
    const onnx::TensorShapeProto& declared = proto.shape();
    for (const auto& dim : declared.dim()) {
      if (!dim.dim_param().empty()) used_dims_.insert(dim.dim_param());
    }
    auto given = options_.input_shapes.find(name);
    if (given != options_.input_shapes.end()) {
      HONE_RETURN_IF_ERROR(CheckGivenShape(name, given->second, proto));
      return given->second;
    }
    // A single size is a dimension's first; no dimension of that name, and it is this input's.
    auto size = options_.dims.find(name);
    if (size != options_.dims.end() && declared.dim_size() <= 1 && !named_dims_.contains(name) &&
        (declared.dim_size() == 1 || !proto.has_shape())) {
      used_dims_.insert(name);
      HONE_RETURN_IF_ERROR(CheckGivenShape(name, {size->second}, proto));
      return std::vector<int64_t>{size->second};
    }
    if (!proto.has_shape()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input '", name, "' has no shape; give it one: --shape ", name, "=1x3x224x224"));
    }
    std::vector<int64_t> shape;
    for (const auto& dim : declared.dim()) {
      if (dim.has_dim_value() && dim.dim_value() >= 0) {
        shape.push_back(dim.dim_value());
        continue;
      }
      if (dim.dim_param().empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("input '", name, "' ", DeclaredText(declared), " has a dimension ",
                         shape.size(), " of no size and no name; give its whole shape: --shape ",
                         name, "=", ExampleShape(declared)));
      }
      auto value = options_.dims.find(dim.dim_param());
      if (value == options_.dims.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "input '", name, "' ", DeclaredText(declared), ": dimension '", dim.dim_param(),
            "' has no size; give it one: --shape ", dim.dim_param(), "=VALUE"));
      }
      shape.push_back(value->second);
    }
    for (int64_t extent : shape) {
      if (extent < 0) return absl::InvalidArgumentError("a dimension is negative");
    }
    return shape;
  }

  static Status CheckGivenShape(const std::string& name, const std::vector<int64_t>& shape,
                                const onnx::TypeProto::Tensor& proto) {
    if (!proto.has_shape()) return absl::OkStatus();
    bool fits = static_cast<int>(shape.size()) == proto.shape().dim_size();
    for (int d = 0; fits && d < proto.shape().dim_size(); ++d) {
      const auto& dim = proto.shape().dim(d);
      fits = shape[d] >= 0 &&
             (!dim.has_dim_value() || dim.dim_value() < 0 || dim.dim_value() == shape[d]);
    }
    if (fits) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("--shape ", name, "=", absl::StrJoin(shape, "x"),
                                                   " does not fit the model's ",
                                                   DeclaredText(proto.shape())));
  }

  static std::string DeclaredText(const onnx::TensorShapeProto& shape) {
    std::vector<std::string> dims;
    for (const auto& dim : shape.dim()) {
      dims.push_back(!dim.dim_param().empty()                      ? dim.dim_param()
                     : dim.has_dim_value() && dim.dim_value() >= 0 ? absl::StrCat(dim.dim_value())
                                                                   : "?");
    }
    return absl::StrCat("[", absl::StrJoin(dims, ","), "]");
  }

  static std::string ExampleShape(const onnx::TensorShapeProto& shape) {
    std::vector<std::string> dims;
    for (const auto& dim : shape.dim()) {
      dims.push_back(dim.has_dim_value() && dim.dim_value() > 0 ? absl::StrCat(dim.dim_value())
                     : dims.empty()                             ? "1"
                                                                : "224");
    }
    return absl::StrJoin(dims, "x");
  }

  // A conditional whose condition is known: the branch taken, as if it stood here. Its names are
  // unique in the model, and it sees all values before it.
  Status AddIf(const onnx::NodeProto& proto) {
    auto condition = proto.input_size() == 1 ? values_.find(proto.input(0)) : values_.end();
    if (condition == values_.end()) {
      return AtNode(proto, opset_, absl::InvalidArgumentError("its condition is missing"));
    }
    const Tensor* known = builder_.ConstantOf(condition->second);
    if (known == nullptr || known->ElementCount() != 1) {
      return AtNode(proto, opset_,
                    absl::UnimplementedError("its condition is computed while the model runs; only "
                                             "conditions known beforehand are supported"));
    }
    const absl::string_view wanted = known->GetInt(0) != 0 ? "then_branch" : "else_branch";
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      if (attribute.name() != wanted) continue;
      const onnx::GraphProto& branch = attribute.g();
      if (branch.output_size() != proto.output_size()) break;
      HONE_RETURN_IF_ERROR(AddInitializers(branch));
      for (const onnx::NodeProto& node : branch.node()) HONE_RETURN_IF_ERROR(AddNode(node));
      for (int i = 0; i < branch.output_size(); ++i) {
        auto value = values_.find(branch.output(i).name());
        if (value != values_.end()) values_[proto.output(i)] = value->second;
      }
      return absl::OkStatus();
    }
    return AtNode(proto, opset_, absl::InvalidArgumentError("its branches do not fit it"));
  }

  Status AddNode(const onnx::NodeProto& proto) {
    if (!IsOnnxDomain(proto.domain())) {
      return AtNode(proto, opset_,
                    absl::UnimplementedError(absl::StrCat("operators of domain '", proto.domain(),
                                                          "' are not supported")));
    }
    if (proto.op_type() == "If") return AddIf(proto);
    const std::vector<OnnxOperator>& table = OnnxTable();
    auto found = std::find_if(table.begin(), table.end(),
                              [&](const OnnxOperator& op) { return proto.op_type() == op.name; });
    if (found == table.end()) {
      return AtNode(proto, opset_,
                    absl::UnimplementedError(
                        "this operator is not supported; docs/manual.md lists those that are"));
    }
    if (opset_ < found->since) {
      return AtNode(
          proto, opset_,
          absl::UnimplementedError(absl::StrCat("it is supported from opset ", found->since,
                                                " on; export the model with opset_version=",
                                                std::max<int64_t>(found->since, kUsualOpset),
                                                ", or convert it with onnx.version_converter")));
    }
    if (proto.output_size() == 0) {
      return AtNode(proto, opset_, absl::InvalidArgumentError("it has no outputs"));
    }
    std::vector<int> inputs;
    for (const std::string& name : proto.input()) {
      auto value = values_.find(name);
      if (name.empty()) {
        inputs.push_back(-1);
      } else if (value == values_.end()) {
        return AtNode(proto, opset_,
                      absl::InvalidArgumentError(
                          absl::StrCat("its input '", name, "' is computed by no node before it")));
      } else {
        inputs.push_back(value->second);
      }
    }
    OnnxNode node(proto, opset_, builder_, std::move(inputs));
    const Status built = found->build(node);
    if (!built.ok()) return AtNode(proto, opset_, built);
    for (int i = 0; i < proto.output_size(); ++i) {
      if (!proto.output(i).empty() && node.outputs()[i] >= 0) {
        values_[proto.output(i)] = node.outputs()[i];
      }
    }
    return absl::OkStatus();
  }

  Status AddOutputs() {
    for (const onnx::ValueInfoProto& output : model_.graph().output()) {
      auto found = values_.find(output.name());
      if (found == values_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("output '", output.name(), "' is computed by no node"));
      }
      int value = found->second;
      const auto declared = DTypeFromOnnx(output.type().tensor_type().elem_type());
      if (declared.ok() && IsHalf(*declared)) {
        HONE_ASSIGN_OR_RETURN(value, builder_.Cast(output.name(), value, *declared));
      }
      HONE_RETURN_IF_ERROR(builder_.Output(output.name(), value));
    }
    if (model_.graph().output_size() == 0) {
      return absl::InvalidArgumentError("the model has no outputs");
    }
    return absl::OkStatus();
  }

  const onnx::ModelProto& model_;
  const ImportOptions& options_;
  GraphBuilder builder_;
  int64_t opset_ = 1;
  std::map<std::string, int> values_;
  std::set<std::string> named_dims_;  // of all inputs
  std::set<std::string> used_dims_;
};

// Names in a model may be any bytes, and an error that shows them is one line all the same.
Status OnOneLine(const Status& status) {
  std::string message(status.message());
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return absl::Status(status.code(), message);
}

}  // namespace

StatusOr<Graph> ImportOnnx(absl::string_view bytes, const ImportOptions& options) {
  HONE_ASSIGN_OR_RETURN(const onnx::ModelProto model, ParseOnnxModel(bytes));
  StatusOr<Graph> graph = Importer(model, options).Run();
  if (!graph.ok()) return OnOneLine(graph.status());
  return graph;
}

StatusOr<Graph> ImportOnnxFile(const std::string& path, const ImportOptions& options) {
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  auto graph = ImportOnnx(bytes, options);
  if (graph.ok()) return graph;
  return absl::Status(graph.status().code(), absl::StrCat(path, ": ", graph.status().message()));
}

std::vector<std::string> SupportedOnnxOperators() {
  std::vector<std::string> names;
  for (const OnnxOperator& op : OnnxTable()) names.emplace_back(op.name);
  names.insert(std::lower_bound(names.begin(), names.end(), "If"), "If");
  return names;
}

}  // namespace hone
