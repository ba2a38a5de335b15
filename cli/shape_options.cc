#include "cli/shape_options.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

Status Unreadable(const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("--shape ", text,
                   ": cannot be read; write --shape batch_size=1 for a dimension, or --shape "
                   "input=1x3x224x224 for an input"));
}

}  // namespace

StatusOr<ImportOptions> ParseShapeOptions(const std::vector<std::string>& shapes) {
  ImportOptions options;
  for (const std::string& text : shapes) {
    // From the right: names of inputs may hold an equals sign, extents never do.
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) return Unreadable(text);
    const std::string name = text.substr(0, equals);
    std::vector<int64_t> extents;
    for (absl::string_view word : absl::StrSplit(text.substr(equals + 1), 'x')) {
      int64_t extent = 0;
      if (!absl::SimpleAtoi(word, &extent) || extent < 1) return Unreadable(text);
      extents.push_back(extent);
    }
    if (extents.size() == 1) {
      options.dims[name] = extents[0];
    } else {
      options.input_shapes[name] = std::move(extents);
    }
  }
  return options;
}

Option ShapeOption(std::vector<std::string>* shapes) {
  return {
      "--shape", "NAME=VALUE",
      "value of a dimension that the model leaves open (batch_size=1), or the whole shape of an "
      "input (INPUT=1x3x480x640)",
      shapes};
}

}  // namespace hone
