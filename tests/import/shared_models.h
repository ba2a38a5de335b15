// Where tests find the real models, and one data set of a model. Absent material skips a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "compiler/import/tensor_proto.h"

namespace hone {

// The folder of test material that is not part of the tree; it may be absent.
inline std::string SharedDir() {
  if (const char* dir = std::getenv("HONE_SHARED_DIR")) return dir;
  const char* source = std::getenv("HONE_SOURCE_DIR");
  return absl::StrCat(source == nullptr ? "." : source, "/../shared");
}

// input_0.pb, input_1.pb, ... of a test data set, or output_k.pb.
inline StatusOr<std::vector<NamedTensor>> ReadDataSet(const std::string& folder,
                                                      const std::string& kind) {
  std::vector<NamedTensor> tensors;
  for (int k = 0;; ++k) {
    const std::string path = absl::StrCat(folder, "/", kind, "_", k, ".pb");
    if (!std::filesystem::exists(path)) return tensors;
    HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    HONE_ASSIGN_OR_RETURN(NamedTensor tensor, ParseTensorProto(bytes, path));
    tensors.push_back(std::move(tensor));
  }
}

}  // namespace hone
