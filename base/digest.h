// SHA-256 in lower-case hex: the name of an artifact, the key of a workload. Stable for ever.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace hone {

// 64 hex digits.
std::string Digest(absl::string_view bytes);

}  // namespace hone
