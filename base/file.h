// Whole files in and out of memory, with errors that name the file and the way out. For programs
// and the edges of the compiler; core logic takes bytes.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// NotFound, PermissionDenied or DataLoss name the path.
StatusOr<std::string> ReadFile(const std::string& path);

// Writes beside `path` and renames, so that a reader sees the old file or the new one, and a full
// disk leaves the old one; a device or pipe is written to as it is. ResourceExhausted when the disk
// is full.
Status WriteFile(const std::string& path, absl::string_view bytes);

}  // namespace hone
