#include "compiler/import/tensor_proto.h"

#include <onnx/onnx_pb.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TensorProto, ReadsBackWhatItWrote) {
  for (const DType dtype :
       {DType::kBool, DType::kI8, DType::kU8, DType::kI16, DType::kU16, DType::kI32, DType::kU32,
        DType::kI64, DType::kU64, DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    NamedTensor tensor = {.name = "x", .tensor = Tensor::Zeros(dtype, {2, 3})};
    for (int i = 0; i < 6; ++i) tensor.tensor.Set(i, i % 2);
    const StatusOr<NamedTensor> back = ParseTensorProto(SerializeTensorProto(tensor), "memory");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->name, "x");
    EXPECT_EQ(back->tensor.dtype, dtype);
    EXPECT_EQ(back->tensor.shape, tensor.tensor.shape);
    EXPECT_EQ(back->tensor.bytes, tensor.tensor.bytes);
  }
}

TEST(TensorProto, ReadsTheTypedFields) {
  onnx::TensorProto proto;
  proto.add_dims(2);
  proto.set_data_type(onnx::TensorProto::FLOAT16);
  proto.add_int32_data(0x3c00);
  proto.add_int32_data(0xc000);
  StatusOr<Tensor> tensor = TensorFromProto(proto);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->ToDoubles(), ElementsAre(1, -2));

  proto.set_data_type(onnx::TensorProto::INT8);
  proto.set_int32_data(0, -5);
  proto.set_int32_data(1, 7);
  tensor = TensorFromProto(proto);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->ToInts(), ElementsAre(-5, 7));
}

TEST(TensorProto, SaysWhatIsWrong) {
  const auto message = [](const onnx::TensorProto& proto) {
    return std::string(TensorFromProto(proto).status().message());
  };
  onnx::TensorProto proto;
  proto.set_name("w");
  proto.set_data_type(onnx::TensorProto::STRING);
  EXPECT_THAT(message(proto), HasSubstr("'w' has ONNX's type 8"));
  proto.set_data_type(onnx::TensorProto::FLOAT);
  proto.add_dims(3);
  proto.set_raw_data("1234");
  EXPECT_THAT(message(proto), HasSubstr("'w' is f32 [3], but holds 4 bytes"));
  proto.set_dims(0, -1);
  EXPECT_THAT(message(proto), HasSubstr("impossible extent -1"));
  EXPECT_THAT(std::string(ParseTensorProto("not a proto", "x.pb").status().message()),
              HasSubstr("x.pb: not an ONNX TensorProto"));
}

}  // namespace
}  // namespace hone
