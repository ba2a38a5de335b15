#include "cli/default_paths.h"

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

std::string Value(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string DefaultDatabasePath(const Environment& environment) {
  if (std::string path = Value(environment, "HONE_DB"); !path.empty()) return path;
  if (std::string data = Value(environment, "XDG_DATA_HOME"); !data.empty()) {
    return absl::StrCat(data, "/hone/records.db");
  }
  std::string home = Value(environment, "HOME");
  return absl::StrCat(home.empty() ? "." : home, "/.local/share/hone/records.db");
}

std::string DefaultTracker(const Environment& environment) {
  return Value(environment, "HONE_TRACKER");
}

}  // namespace hone
