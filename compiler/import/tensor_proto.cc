#include "compiler/import/tensor_proto.h"

#include <onnx/onnx_pb.h>

#include <limits>

#include "absl/strings/str_cat.h"

// A TensorProto keeps its values either as raw bytes, little-endian, or in one of five repeated
// fields, which one depending on the element type; small types are widened there, and halves are
// their bits in int32_data.

namespace hone {
namespace {

int32_t OnnxTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return onnx::TensorProto::BOOL;
    case DType::kI8:
      return onnx::TensorProto::INT8;
    case DType::kU8:
      return onnx::TensorProto::UINT8;
    case DType::kI16:
      return onnx::TensorProto::INT16;
    case DType::kU16:
      return onnx::TensorProto::UINT16;
    case DType::kI32:
      return onnx::TensorProto::INT32;
    case DType::kU32:
      return onnx::TensorProto::UINT32;
    case DType::kI64:
      return onnx::TensorProto::INT64;
    case DType::kU64:
      return onnx::TensorProto::UINT64;
    case DType::kF16:
      return onnx::TensorProto::FLOAT16;
    case DType::kBF16:
      return onnx::TensorProto::BFLOAT16;
    case DType::kF32:
      return onnx::TensorProto::FLOAT;
    case DType::kF64:
      return onnx::TensorProto::DOUBLE;
  }
  return onnx::TensorProto::UNDEFINED;
}

// Appends each value of a repeated field as a Stored.
template <typename Stored, typename Field>
std::string Pack(const Field& field) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(field.size()) * sizeof(Stored));
  for (const auto value : field) {
    const auto stored = static_cast<Stored>(value);
    bytes.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
  }
  return bytes;
}

std::string BytesOf(const onnx::TensorProto& proto, DType dtype) {
  if (proto.has_raw_data()) return proto.raw_data();
  switch (dtype) {
    case DType::kF32:
      return Pack<float>(proto.float_data());
    case DType::kF64:
      return Pack<double>(proto.double_data());
    case DType::kI64:
      return Pack<int64_t>(proto.int64_data());
    case DType::kU64:
      return Pack<uint64_t>(proto.uint64_data());
    case DType::kU32:
      return Pack<uint32_t>(proto.uint64_data());
    case DType::kI32:
      return Pack<int32_t>(proto.int32_data());
    case DType::kI16:
      return Pack<int16_t>(proto.int32_data());
    case DType::kU16:
    case DType::kF16:
    case DType::kBF16:
      return Pack<uint16_t>(proto.int32_data());
    case DType::kI8:
      return Pack<int8_t>(proto.int32_data());
    case DType::kU8:
    case DType::kBool:
      return Pack<uint8_t>(proto.int32_data());
  }
  return "";
}

}  // namespace

std::optional<DType> DTypeOfOnnx(int32_t onnx_type) {
  switch (onnx_type) {
    case onnx::TensorProto::FLOAT:
      return DType::kF32;
    case onnx::TensorProto::UINT8:
      return DType::kU8;
    case onnx::TensorProto::INT8:
      return DType::kI8;
    case onnx::TensorProto::UINT16:
      return DType::kU16;
    case onnx::TensorProto::INT16:
      return DType::kI16;
    case onnx::TensorProto::INT32:
      return DType::kI32;
    case onnx::TensorProto::INT64:
      return DType::kI64;
    case onnx::TensorProto::BOOL:
      return DType::kBool;
    case onnx::TensorProto::FLOAT16:
      return DType::kF16;
    case onnx::TensorProto::DOUBLE:
      return DType::kF64;
    case onnx::TensorProto::UINT32:
      return DType::kU32;
    case onnx::TensorProto::UINT64:
      return DType::kU64;
    case onnx::TensorProto::BFLOAT16:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

StatusOr<Tensor> TensorFromProto(const onnx::TensorProto& proto) {
  const std::optional<DType> dtype = DTypeOfOnnx(proto.data_type());
  if (!dtype.has_value()) {
    return absl::UnimplementedError(absl::StrCat("tensor '", proto.name(), "' has ONNX's type ",
                                                 proto.data_type(), ", which hone lacks"));
  }
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    return absl::UnimplementedError(
        absl::StrCat("tensor '", proto.name(),
                     "' keeps its data in another file; save the model with its data inside"));
  }
  Tensor tensor;
  tensor.dtype = *dtype;
  int64_t count = 1;
  for (const int64_t extent : proto.dims()) {
    if (extent < 0 || (extent > 0 && count > std::numeric_limits<int64_t>::max() / 16 / extent)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor '", proto.name(), "' has an impossible extent ", extent));
    }
    count *= extent;
    tensor.shape.push_back(extent);
  }
  tensor.bytes = BytesOf(proto, *dtype);
  if (tensor.Bytes() != count * DTypeBytes(*dtype)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor '", proto.name(), "' is ",
                                                   DTypeName(*dtype), " ", ShapeText(tensor.shape),
                                                   ", but holds ", tensor.Bytes(), " bytes"));
  }
  return tensor;
}

StatusOr<NamedTensor> ParseTensorProto(absl::string_view bytes, absl::string_view what) {
  onnx::TensorProto proto;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      proto.data_type() == onnx::TensorProto::UNDEFINED) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": not an ONNX TensorProto, or truncated"));
  }
  StatusOr<Tensor> tensor = TensorFromProto(proto);
  if (!tensor.ok()) {
    return absl::Status(tensor.status().code(),
                        absl::StrCat(what, ": ", tensor.status().message()));
  }
  return NamedTensor{.name = proto.name(), .tensor = *std::move(tensor)};
}

std::string SerializeTensorProto(const NamedTensor& tensor) {
  onnx::TensorProto proto;
  proto.set_name(tensor.name);
  proto.set_data_type(OnnxTypeOf(tensor.tensor.dtype));
  for (const int64_t extent : tensor.tensor.shape) proto.add_dims(extent);
  proto.set_raw_data(tensor.tensor.bytes);
  return proto.SerializeAsString();
}

}  // namespace hone
