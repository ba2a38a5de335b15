// The zoo: well-known networks with their real architecture and seeded weights, written as ONNX
// files, so that everything can be tried and measured without downloading anything. Outputs are
// meaningless but of ordinary magnitude. Used by `hone zoo`, the demo and benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

struct ZooEntry {
  std::string name;
  std::string description;  // one line
};

const std::vector<ZooEntry>& ZooEntries();

// The bytes of an ONNX file (opset 13, one image, f32): equal names and seeds give equal bytes.
// Convolution weights are drawn as He et al. do; normalisation statistics lie around 1 and 0. An
// unknown name is an error that lists the known ones.
StatusOr<std::string> ZooModel(absl::string_view name, uint64_t seed);

}  // namespace hone
