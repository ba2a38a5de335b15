// How the tracker calls a workload that it knows only by its text: by the shapes that it takes and
// gives. For pages, logs and lists; the tracker never parses a workload (compiler/ir does).
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace hone {

// "1x64x56x56 * 64x64x3x3 -> 1x64x56x56"; at most four shapes a side. "" if the text has none.
std::string WorkloadCaption(absl::string_view workload_text);

}  // namespace hone
