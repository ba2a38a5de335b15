// Files with one tensor in them, by their ending: .npy, .pb, or a picture. Used by the commands
// that run compiled models.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/graph/graph.h"
#include "compiler/ir/tensor.h"

namespace hone {

// How to take a picture; unused for other files.
struct PictureOptions {
  std::string preprocess;  // "imagenet", ...: preprocess.h
  bool bgr = false;
};

// Whether the file holds a picture, by its ending.
bool IsPicture(absl::string_view path);

// Reads a picture as the input `name` of the given type.
StatusOr<Tensor> ReadPicture(const std::string& path, absl::string_view name,
                             const TensorType& type, const PictureOptions& picture_options);

// .npy or .pb, whatever its type.
StatusOr<Tensor> ReadTensorFile(const std::string& path);

}  // namespace hone
