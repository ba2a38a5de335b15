#include "device_agent/canary_file.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/digest.h"

namespace hone {

// A device's name may hold a slash.
std::string CanaryPath(absl::string_view folder, absl::string_view device) {
  return absl::StrCat(folder, "/", Digest(device), ".canary");
}

pb::CanaryHistory LoadCanaryHistory(const std::string& path) {
  pb::CanaryHistory history;
  std::ifstream file(path, std::ios::binary);
  if (!history.ParseFromIstream(&file)) history.Clear();
  return history;
}

Status SaveCanaryHistory(const std::string& path, const pb::CanaryHistory& history) {
  const std::string unfinished = path + ".new";
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    if (!history.SerializeToOstream(&file) || !file.flush())
      return absl::UnavailableError(
          absl::StrCat("cannot write ", unfinished, "; is the disk full?"));
  }
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace hone
