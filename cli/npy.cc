#include "cli/npy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

// "\x93NUMPY", two version bytes, the header's length (2 bytes, from version 2 on 4), the header,
// which is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, then
// the values.

namespace hone {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";

struct TypeName {
  absl::string_view npy;
  DType dtype;
};

constexpr int64_t kElementsMax = int64_t{1} << 40;
constexpr TypeName kTypes[] = {
    {"|b1", DType::kBool}, {"|i1", DType::kI8},  {"|u1", DType::kU8},  {"<i2", DType::kI16},
    {"<u2", DType::kU16},  {"<i4", DType::kI32}, {"<u4", DType::kU32}, {"<i8", DType::kI64},
    {"<u8", DType::kU64},  {"<f2", DType::kF16}, {"<f4", DType::kF32}, {"<f8", DType::kF64},
};

// What stands after 'key': in the header, up to the end of the value, or "".
absl::string_view ValueOf(absl::string_view header, absl::string_view key, char end) {
  const size_t at = header.find(absl::StrCat("'", key, "'"));
  if (at == absl::string_view::npos) return "";
  const size_t colon = header.find(':', at);
  if (colon == absl::string_view::npos) return "";
  const size_t stop = header.find(end, colon);
  if (stop == absl::string_view::npos) return "";
  return absl::StripAsciiWhitespace(header.substr(colon + 1, stop - colon - 1));
}

std::optional<std::vector<int64_t>> ParseShape(absl::string_view text) {
  if (text.empty() || text[0] != '(') return std::nullopt;
  std::vector<int64_t> shape;
  int64_t count = 1;
  for (const absl::string_view extent : absl::StrSplit(text.substr(1), ',')) {
    const absl::string_view digits = absl::StripAsciiWhitespace(extent);
    if (digits.empty()) continue;
    int64_t value = 0;
    if (!absl::SimpleAtoi(digits, &value) || value < 0 || value > kElementsMax) return std::nullopt;
    if (value > 0 && count > kElementsMax / value) return std::nullopt;
    count *= value;
    shape.push_back(value);
  }
  return shape;
}

}  // namespace

StatusOr<Tensor> ParseNpy(absl::string_view bytes, absl::string_view what) {
  const auto error = [&](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", message));
  };
  if (bytes.size() < 12 || !absl::StartsWith(bytes, kMagic)) return error("not an .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) {
    return error(absl::StrCat(".npy version ", version, "; hone reads 1 to 3"));
  }
  const size_t header_at = version == 1 ? 10 : 12;
  size_t header_bytes = byte(8) | byte(9) << 8;
  if (version > 1) header_bytes |= byte(10) << 16 | byte(11) << 24;
  if (header_bytes > bytes.size() - header_at) return error("truncated .npy header");
  const absl::string_view header =
      absl::StripTrailingAsciiWhitespace(bytes.substr(header_at, header_bytes));
  if (!std::all_of(header.begin(), header.end(), absl::ascii_isprint)) {
    return error("the .npy header is no text");
  }

  const absl::string_view descr = ValueOf(header, "descr", ',');
  const TypeName* type = nullptr;
  for (const TypeName& candidate : kTypes) {
    if (descr == absl::StrCat("'", candidate.npy, "'")) type = &candidate;
  }
  if (type == nullptr) return error(absl::StrCat("element type ", descr, " is not one hone reads"));
  if (ValueOf(header, "fortran_order", ',') != "False") {
    return error("column-major order; save numpy.ascontiguousarray(x)");
  }
  const auto shape = ParseShape(ValueOf(header, "shape", ')'));
  if (!shape.has_value()) return error("no readable shape in the .npy header");

  Tensor tensor;
  tensor.dtype = type->dtype;
  tensor.shape = *shape;
  const absl::string_view values = bytes.substr(header_at + header_bytes);
  const int64_t expected = ElementCount(*shape) * DTypeBytes(type->dtype);
  if (static_cast<int64_t>(values.size()) < expected) {
    return error(absl::StrCat("truncated: ", DTypeName(type->dtype), " ", ShapeText(*shape),
                              " takes ", expected, " bytes, there are ", values.size()));
  }
  tensor.bytes = std::string(values.substr(0, static_cast<size_t>(expected)));
  return tensor;
}

std::string SerializeNpy(const Tensor& tensor) {
  if (tensor.dtype == DType::kBF16) return SerializeNpy(tensor.As(DType::kF32));
  absl::string_view descr;
  for (const TypeName& type : kTypes) {
    if (type.dtype == tensor.dtype) descr = type.npy;
  }
  std::string shape;
  for (const int64_t extent : tensor.shape) absl::StrAppend(&shape, extent, ", ");
  // "(2, 3)", but "(2,)" and "()": Python's tuples.
  if (tensor.shape.size() > 1) shape.resize(shape.size() - 2);
  if (tensor.shape.size() == 1) shape.pop_back();
  std::string header =
      absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (", shape, "), }");
  while ((kMagic.size() + 4 + header.size() + 1) % 64 != 0) header.push_back(' ');
  header.push_back('\n');
  std::string bytes(kMagic);
  bytes.push_back(1);
  bytes.push_back(0);
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  return bytes + header + tensor.bytes;
}

}  // namespace hone
