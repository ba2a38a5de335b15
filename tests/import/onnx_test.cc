#include "compiler/import/onnx.h"

#include <cstdlib>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx_table.h"
#include "compiler/import/zoo.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace hone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

onnx::ValueInfoProto Info(const std::string& name, int type, const std::vector<std::string>& dims) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const std::string& dim : dims) {
    auto& added = *tensor.mutable_shape()->add_dim();
    if (dim.empty()) continue;
    if (std::isdigit(dim[0])) {
      added.set_dim_value(std::stoll(dim));
    } else {
      added.set_dim_param(dim);
    }
  }
  return info;
}

// One node from x to y.
onnx::ModelProto OneNode(const std::string& op, int64_t opset,
                         const std::vector<std::string>& dims = {"2", "3"},
                         int type = onnx::TensorProto::FLOAT) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  *model.mutable_graph()->add_input() = Info("x", type, dims);
  *model.mutable_graph()->add_output() = Info("y", type, dims);
  onnx::NodeProto& node = *model.mutable_graph()->add_node();
  node.set_name("node1");
  node.set_op_type(op);
  node.add_input("x");
  node.add_output("y");
  return model;
}

std::string ErrorOf(const onnx::ModelProto& model, const ImportOptions& options = {}) {
  return std::string(ImportOnnx(model.SerializeAsString(), options).status().message());
}

TEST(OnnxTest, SaysThatThereIsNoFile) {
  EXPECT_THAT(ImportOnnxFile("/nowhere/model.onnx", {}).status().message(),
              HasSubstr("/nowhere/model.onnx"));
}

TEST(OnnxTest, TellsTruncatedFromForeign) {
  EXPECT_EQ(ImportOnnx("PK\x03\x04 something else", {}).status().message(),
            "not an ONNX file; export the model as .onnx, or try hone zoo tiny");
  EXPECT_EQ(ImportOnnx("", {}).status().message(), "the file is empty");
  const std::string whole = *ZooModel("tiny", 1);
  EXPECT_TRUE(ImportOnnx(whole, {}).ok());
  for (size_t size : {whole.size() / 2, whole.size() - 1, size_t{40}}) {
    EXPECT_THAT(ImportOnnx(absl::string_view(whole).substr(0, size), {}).status().message(),
                HasSubstr("truncated"));
  }
}

TEST(OnnxTest, NamesTheOperatorNodeAndOpset) {
  EXPECT_EQ(
      ErrorOf(OneNode("GridSample", 16)),
      "node 'node1' (GridSample, opset 16): this operator is not supported; docs/manual.md lists "
      "those that are");
  EXPECT_EQ(
      ErrorOf(OneNode("Gelu", 13)),
      "node 'node1' (Gelu, opset 13): it is supported from opset 20 on; export the model with "
      "opset_version=20, or convert it with onnx.version_converter");
  EXPECT_THAT(ErrorOf(OneNode("Cos", 6)),
              AllOf(HasSubstr("(Cos, opset 6): it is supported from opset 7 on"),
                    HasSubstr("opset_version=13")));
  onnx::ModelProto foreign = OneNode("FusedConv", 13);
  foreign.mutable_graph()->mutable_node(0)->set_domain("com.microsoft");
  EXPECT_EQ(ErrorOf(foreign),
            "node 'node1' (FusedConv, opset 13): operators of domain 'com.microsoft' are not "
            "supported");
  EXPECT_THAT(ErrorOf(OneNode("Relu", 99)), HasSubstr("opset 99; opsets up to 22"));
  EXPECT_THAT(ErrorOf(OneNode("Relu", 0)), HasSubstr("opset 0; opsets up to 22"));
}

TEST(OnnxTest, AnErrorIsOneLineWhateverTheModelsNamesAre) {
  const std::string error = ErrorOf(OneNode("No\nSuch\x1b", 13));
  EXPECT_THAT(error, HasSubstr("No?Such?"));
  EXPECT_EQ(error.find('\n'), std::string::npos);
}

TEST(OnnxTest, NamesWhatDoesNotFit) {
  onnx::ModelProto model = OneNode("MatMul", 13);
  model.mutable_graph()->mutable_node(0)->add_input("x");
  EXPECT_EQ(ErrorOf(model),
            "node 'node1' (MatMul, opset 13): operands f32[2,3] and f32[2,3] do not multiply");
  model.mutable_graph()->mutable_node(0)->set_input(1, "elsewhere");
  EXPECT_EQ(ErrorOf(model),
            "node 'node1' (MatMul, opset 13): its input 'elsewhere' is computed by no node before "
            "it");
}

TEST(OnnxTest, SymbolicDimensionsNeedAValue) {
  const onnx::ModelProto model = OneNode("Relu", 13, {"batch_size", "3"});
  EXPECT_EQ(ErrorOf(model),
            "input 'x' [batch_size,3]: dimension 'batch_size' has no size; give it one: --shape "
            "batch_size=VALUE");
  const auto graph = ImportOnnx(model.SerializeAsString(), {.dims = {{"batch_size", 5}}});
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->ShapeOf(graph->outputs[0]), ElementsAre(5, 3));
  EXPECT_EQ(
      ErrorOf(model, {.dims = {{"batch_size", 5}, {"batch", 1}}}),
      "--shape batch=1: the model has no dimension 'batch' and no one-dimensional input of that "
      "name; its open dimensions are batch_size");
}

TEST(OnnxTest, ASingleSizeIsADimensionsFirstAndThenAnInputs) {
  const auto shape = [](const onnx::ModelProto& model, int64_t size) {
    const auto graph = ImportOnnx(model.SerializeAsString(), {.dims = {{"x", size}}});
    EXPECT_TRUE(graph.ok()) << graph.status();
    return graph->ShapeOf(graph->inputs[0]);
  };
  EXPECT_THAT(shape(OneNode("Relu", 13, {"x", "3"}), 5), ElementsAre(5, 3));
  EXPECT_THAT(shape(OneNode("Relu", 13, {"x"}), 5), ElementsAre(5));
  EXPECT_THAT(shape(OneNode("Relu", 13, {"length"}), 5), ElementsAre(5));
  EXPECT_THAT(shape(OneNode("Relu", 13, {""}), 5), ElementsAre(5));
  EXPECT_THAT(ErrorOf(OneNode("Relu", 13, {"4"}), {.dims = {{"x", 5}}}),
              HasSubstr("--shape x=5 does not fit the model's [4]"));
  EXPECT_THAT(ErrorOf(OneNode("Relu", 13, {"length", "3"}), {.dims = {{"x", 5}, {"length", 2}}}),
              HasSubstr("--shape x=5: the model has no dimension 'x'"));
}

TEST(OnnxTest, UnnamedDimensionsNeedTheWholeShape) {
  const onnx::ModelProto model = OneNode("Relu", 13, {"", "3", ""});
  EXPECT_EQ(ErrorOf(model),
            "input 'x' [?,3,?] has a dimension 0 of no size and no name; give its whole shape: "
            "--shape x=1x3x224");
  const auto graph = ImportOnnx(model.SerializeAsString(), {.input_shapes = {{"x", {2, 3, 4}}}});
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->ShapeOf(graph->outputs[0]), ElementsAre(2, 3, 4));
  EXPECT_EQ(ErrorOf(model, {.input_shapes = {{"x", {2, 4, 4}}}}),
            "--shape x=2x4x4 does not fit the model's [?,3,?]");
  EXPECT_EQ(ErrorOf(model, {.input_shapes = {{"z", {2, 3, 4}}}}),
            "--shape z=2x3x4: the model has no input 'z'; its inputs are x");
}

TEST(OnnxTest, RefusesStringsAndDamagedWeights) {
  EXPECT_THAT(ErrorOf(OneNode("Relu", 13, {"2"}, onnx::TensorProto::STRING)),
              HasSubstr("input 'x': element type STRING is not supported"));
  onnx::ModelProto model = OneNode("Relu", 13);
  onnx::TensorProto& weights = *model.mutable_graph()->add_initializer();
  weights.set_name("w");
  weights.set_data_type(onnx::TensorProto::FLOAT);
  weights.add_dims(4);
  weights.set_raw_data("12345678");
  EXPECT_THAT(ErrorOf(model), HasSubstr("tensor 'w'"));
}

TEST(OnnxTest, HalfModelsComputeInSinglePrecision) {
  const onnx::ModelProto model = OneNode("Relu", 13, {"2"}, onnx::TensorProto::FLOAT16);
  auto graph = ImportOnnx(model.SerializeAsString(), {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto plan = PlanModel(*std::move(graph), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->calls.size(), 1u);  // the casts and what lies between are one kernel
  EXPECT_EQ(plan->kernels[0].workload.ToString(),
            "workload/1\n"
            "input x f16 [2]\n"
            "output y f16 [2]\n"
            "stage y f16 [m:2] = f16(max(f32(x[m]),0x0p+0))\n");
  const Tensor x = Tensor::FromDoubles(DType::kF16, {2}, {-1.5, 2.5});
  const auto outputs = EvaluatePlan(*plan, {{"x", x}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToDoubles(), ElementsAre(0, 2.5));
}

TEST(OnnxTest, AnOutputThatIsAnInputIsCopied) {
  onnx::ModelProto model = OneNode("Identity", 13, {"2"});
  auto graph = ImportOnnx(model.SerializeAsString(), {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto plan = PlanModel(*std::move(graph), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto outputs = EvaluatePlan(*plan, {{"x", Tensor::Floats({2}, {3, 4})}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->at("y").ToDoubles(), ElementsAre(3, 4));
  EXPECT_THAT(EvaluatePlan(*plan, {}).status().message(), HasSubstr("no value for input 'x'"));
  EXPECT_THAT(EvaluatePlan(*plan, {{"x", Tensor::Floats({3}, {3, 4, 5})}}).status().message(),
              HasSubstr("input 'x' is f32[2], not f32[3]"));
}

TEST(OnnxTest, FixedInputsAreConstants) {
  onnx::ModelProto model = OneNode("Add", 13, {"2"});
  *model.mutable_graph()->add_input() = Info("offset", onnx::TensorProto::FLOAT, {"1"});
  model.mutable_graph()->mutable_node(0)->add_input("offset");
  const auto graph = ImportOnnx(model.SerializeAsString(),
                                {.fixed_inputs = {{"offset", Tensor::Floats({1}, {2})}}});
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->inputs.size(), 1u);
  EXPECT_EQ(graph->ToString(),
            "input x:f32[2]\n"
            "y:f32[2] = elementwise(x) then v0+0x1p+1\n"
            "output y\n");
}

TEST(OnnxTest, RefusesOperandsOfTheWrongType) {
  EXPECT_EQ(ErrorOf(OneNode("Exp", 13, {"2"}, onnx::TensorProto::INT32)),
            "node 'node1' (Exp, opset 13): an operand is i32, not a float");
  EXPECT_EQ(ErrorOf(OneNode("Not", 13)),
            "node 'node1' (Not, opset 13): an operand is f32, not bool");
  onnx::ModelProto model = OneNode("Max", 13, {"2"});
  *model.mutable_graph()->add_input() = Info("z", onnx::TensorProto::INT64, {"2"});
  model.mutable_graph()->mutable_node(0)->add_input("z");
  EXPECT_EQ(ErrorOf(model), "node 'node1' (Max, opset 13): its operands are f32 and i64");
}

TEST(OnnxTest, DamagedModelsAreRefusedOrImportedButNeverCrash) {
  std::mt19937 random(1);
  for (const std::string& op : SupportedOnnxOperators()) {
    onnx::ModelProto model = OneNode(op, 22, {"1", "4", "6", "6"});
    onnx::NodeProto& node = *model.mutable_graph()->mutable_node(0);
    for (const char* name : {"w", "b"}) {
      onnx::TensorProto& tensor = *model.mutable_graph()->add_initializer();
      tensor.set_name(name);
      tensor.set_data_type(*name == 'w' ? onnx::TensorProto::FLOAT : onnx::TensorProto::INT64);
      tensor.add_dims(4);
      tensor.set_raw_data(std::string(*name == 'w' ? 16 : 32, '\1'));
      node.add_input(name);
    }
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name("axis");
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(1);
    const std::string whole = model.SerializeAsString();
    for (int round = 0; round < 40; ++round) {
      std::string bytes = whole;
      for (int flip = 0; flip < 1 + round / 10; ++flip) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      auto graph = ImportOnnx(bytes, {});
      if (graph.ok()) (void)PlanModel(*std::move(graph), {.lanes = 8});
    }
  }
}

TEST(OnnxTest, ListsItsOperatorsSorted) {
  const std::vector<std::string> names = SupportedOnnxOperators();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, testing::Contains("Conv"));
}

TEST(ManualTest, ListsEveryOperator) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/docs/manual.md"));
  std::string manual;
  for (std::string word; in >> word;) absl::StrAppend(&manual, " ", word);
  for (const OnnxOperator& op : OnnxTable()) {
    EXPECT_THAT(manual, testing::AnyOf(HasSubstr(absl::StrCat(" ", op.name, ",")),
                                       HasSubstr(absl::StrCat(" ", op.name, "."))));
  }
}

}  // namespace
}  // namespace hone
