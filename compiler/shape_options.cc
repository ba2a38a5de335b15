#include "compiler/shape_options.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

Status Unreadable(const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("--shape ", text,
                   ": cannot be read; write --shape batch_size=1 for a dimension (1..8 for a "
                   "range of sizes), or --shape input=1x3x224x224 for an input"));
}

// "1..8"
bool ParseRange(absl::string_view text, int64_t* min, int64_t* max) {
  const std::vector<std::string> ends = absl::StrSplit(text, "..");
  return ends.size() == 2 && absl::SimpleAtoi(ends[0], min) && absl::SimpleAtoi(ends[1], max) &&
         *min >= 0 && *max > *min && *max >= 2;
}

}  // namespace

ImportOptions ShapeOptions::At(const std::vector<int64_t>& values) const {
  ImportOptions options = import;
  for (size_t i = 0; i < ranges.size(); ++i) options.dims[ranges[i].name] = values[i];
  return options;
}

StatusOr<ShapeOptions> ParseShapeOptions(const std::vector<std::string>& shapes) {
  ShapeOptions options;
  for (const std::string& text : shapes) {
    // From the right: names of inputs may hold an equals sign, extents never do.
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) return Unreadable(text);
    const std::string name = text.substr(0, equals);
    Param range{.name = name};
    if (ParseRange(text.substr(equals + 1), &range.min, &range.max)) {
      options.import.dims[name] = range.max;
      options.ranges.push_back(range);
      continue;
    }
    std::vector<int64_t> extents;
    for (absl::string_view word : absl::StrSplit(text.substr(equals + 1), 'x')) {
      int64_t extent = 0;
      if (!absl::SimpleAtoi(word, &extent) || extent < 1) return Unreadable(text);
      extents.push_back(extent);
    }
    if (extents.size() == 1) {
      options.import.dims[name] = extents[0];
    } else {
      options.import.input_shapes[name] = std::move(extents);
    }
  }
  return options;
}

}  // namespace hone
