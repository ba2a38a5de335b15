// Numpy's array files (.npy) as Tensor, and back. Used by the commands that read inputs and write
// outputs.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/tensor.h"

namespace hone {

// Versions 1 to 3, little-endian, row-major. `what` names the bytes in errors: a file name.
StatusOr<Tensor> ParseNpy(absl::string_view bytes, absl::string_view what);

// Version 1. bf16, which numpy lacks, becomes f32.
std::string SerializeNpy(const Tensor& tensor);

}  // namespace hone
