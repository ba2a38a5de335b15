#include "tests/chaos/program_log.h"

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hone {

std::vector<nlohmann::json> EventsOf(const std::string& path, absl::string_view name) {
  std::vector<nlohmann::json> events;
  ForEachEvent(path, name, [&](const nlohmann::json& event) { events.push_back(event); });
  return events;
}

void ForEachEvent(const std::string& path, absl::string_view name,
                  const std::function<void(const nlohmann::json&)>& see) {
  std::ifstream in(path);
  const std::string word = absl::StrCat("\"event\":\"", name, "\"");
  for (std::string line; std::getline(in, line);) {
    if (!absl::StrContains(line, word)) continue;
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) see(event);
  }
}

}  // namespace hone
