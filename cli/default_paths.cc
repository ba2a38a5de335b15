#include "cli/default_paths.h"

#include "absl/strings/str_cat.h"
#include "rpc/address.h"

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

std::string DefaultTlsDir(const Environment& environment) {
  if (std::string dir = Value(environment, "HONE_TLS_DIR"); !dir.empty()) return dir;
  if (std::string config = Value(environment, "XDG_CONFIG_HOME"); !config.empty()) {
    return absl::StrCat(config, "/hone/tls");
  }
  std::string home = Value(environment, "HOME");
  return absl::StrCat(home.empty() ? "." : home, "/.config/hone/tls");
}

std::string TlsDirFor(const std::string& tracker, const std::string& asked,
                      const Environment& environment) {
  if (!asked.empty()) return asked;
  if (std::string dir = Value(environment, "HONE_TLS_DIR"); !dir.empty()) return dir;
  // One on this machine speaks plain text unless told otherwise.
  return AreOnThisMachine(tracker) ? "" : DefaultTlsDir(environment);
}

}  // namespace hone
