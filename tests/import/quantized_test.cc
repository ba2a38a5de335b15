// What ONNX's quantised operators become: sums of products of integers, by the oracle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "compiler/graph/evaluate_plan.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "onnx/onnx_pb.h"

namespace hone {
namespace {

using testing::HasSubstr;

class Model {
 public:
  explicit Model(const std::string& op) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(17);
    node_ = model_.mutable_graph()->add_node();
    node_->set_name("node1");
    node_->set_op_type(op);
    node_->add_output("y");
  }

  Model& Input(const std::string& name, int type, const std::vector<int64_t>& shape) {
    Describe(*model_.mutable_graph()->add_input(), name, type, shape);
    node_->add_input(name);
    return *this;
  }

  // A constant input; integers of any type, or floats.
  Model& Constant(int type, const std::vector<int64_t>& shape, const std::vector<double>& values) {
    onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
    tensor.set_name("c" + std::to_string(node_->input_size()));
    tensor.set_data_type(type);
    for (int64_t extent : shape) tensor.add_dims(extent);
    for (double value : values) {
      if (type == onnx::TensorProto::FLOAT) {
        tensor.add_float_data(static_cast<float>(value));
      } else {
        tensor.add_int32_data(static_cast<int32_t>(value));
      }
    }
    node_->add_input(tensor.name());
    return *this;
  }

  Model& Pads(const std::vector<int64_t>& pads) {
    onnx::AttributeProto& attribute = *node_->add_attribute();
    attribute.set_name("pads");
    attribute.set_type(onnx::AttributeProto::INTS);
    for (int64_t pad : pads) attribute.add_ints(pad);
    return *this;
  }

  StatusOr<ModelPlan> Plan(int type, const std::vector<int64_t>& shape) {
    Describe(*model_.mutable_graph()->add_output(), "y", type, shape);
    HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnx(model_.SerializeAsString(), {}));
    return PlanModel(std::move(graph), {.lanes = 8});
  }

 private:
  static void Describe(onnx::ValueInfoProto& info, const std::string& name, int type,
                       const std::vector<int64_t>& shape) {
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    for (int64_t extent : shape) tensor.mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::ModelProto model_;
  onnx::NodeProto* node_ = nullptr;
};

TEST(QuantizedTest, ConvolutionsPadWithTheZeroPointAndRoundOnce) {
  // Values are 2 above the zero point and all weights are 1: each of the four windows holds four.
  auto plan = Model("QLinearConv")
                  .Input("x", onnx::TensorProto::UINT8, {1, 1, 2, 2})
                  .Constant(onnx::TensorProto::FLOAT, {}, {0.5})
                  .Constant(onnx::TensorProto::UINT8, {}, {10})
                  .Constant(onnx::TensorProto::INT8, {2, 1, 3, 3}, std::vector<double>(18, 1))
                  .Constant(onnx::TensorProto::FLOAT, {2}, {0.5, 100})
                  .Constant(onnx::TensorProto::INT8, {2}, {0, 0})
                  .Constant(onnx::TensorProto::FLOAT, {}, {0.25})
                  .Constant(onnx::TensorProto::UINT8, {}, {100})
                  .Constant(onnx::TensorProto::INT32, {2}, {3, 0})
                  .Pads({1, 1, 1, 1})
                  .Plan(onnx::TensorProto::UINT8, {1, 2, 2, 2});
  ASSERT_TRUE(plan.ok()) << plan.status();
  Tensor x = Tensor::Zeros(DType::kU8, {1, 1, 2, 2});
  for (int i = 0; i < 4; ++i) x.Set(i, 12);
  auto outputs = EvaluatePlan(*plan, {{"x", x}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const Tensor& y = outputs->at("y");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(y.Get(i), 100 + 8 + 3);  // scale 1
  for (int i = 4; i < 8; ++i) EXPECT_EQ(y.Get(i), 255);          // beyond the type
}

TEST(QuantizedTest, WeightsAroundZeroAreMultipliedAsBytes) {
  auto plan = Model("MatMulInteger")
                  .Input("x", onnx::TensorProto::UINT8, {4, 8})
                  .Constant(onnx::TensorProto::INT8, {8, 16}, std::vector<double>(128, -3))
                  .Plan(onnx::TensorProto::INT32, {4, 16});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->kernels.size(), 1u);
  EXPECT_THAT(plan->kernels[0].workload.ToString(), HasSubstr("i32(x[m,k])*i32(w[k,n])"));
}

TEST(QuantizedTest, RefusesWhatIsNotOfBytes) {
  auto plan = Model("MatMulInteger")
                  .Input("x", onnx::TensorProto::INT32, {4, 8})
                  .Constant(onnx::TensorProto::INT8, {8, 16}, std::vector<double>(128, 1))
                  .Plan(onnx::TensorProto::INT32, {4, 16});
  EXPECT_THAT(std::string(plan.status().message()),
              HasSubstr("sums of products of i32 are not supported"));
}

}  // namespace
}  // namespace hone
