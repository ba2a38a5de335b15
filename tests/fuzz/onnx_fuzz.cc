// Models and tensors of others: any bytes import or are refused in one line. Models that would be
// large are not imported as a whole, because a fuzzer has little time.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "cli/npy.h"
#include "compiler/import/onnx.h"
#include "compiler/import/tensor_proto.h"

namespace hone {
namespace {

void CheckError(const Status& status) {
  HONE_CHECK(!status.message().empty());
  HONE_CHECK(status.message().find('\n') == absl::string_view::npos) << status;
  HONE_CHECK(!absl::IsInternal(status)) << status;
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      const auto tensor = hone::ParseTensorProto(bytes, "tensor");
      if (!tensor.ok()) hone::CheckError(tensor.status());
      HONE_CHECK(!tensor.ok() ||
                 hone::ParseTensorProto(hone::SerializeTensorProto(*tensor), "again").ok());
      break;
    }
    case 1: {
      const auto tensor = hone::ParseNpy(bytes, "array");
      if (!tensor.ok()) hone::CheckError(tensor.status());
      break;
    }
    default: {
      const auto graph = hone::ImportOnnx(bytes, {.dims = {{"n", 2}}});
      if (!graph.ok()) hone::CheckError(graph.status());
      break;
    }
  }
  return 0;
}
