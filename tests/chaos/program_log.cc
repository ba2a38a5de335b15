#include "tests/chaos/program_log.h"

#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hone {

std::vector<nlohmann::json> EventsOf(const std::string& path, absl::string_view name) {
  std::vector<nlohmann::json> events;
  std::ifstream in(path);
  const std::string word = absl::StrCat("\"event\":\"", name, "\"");
  for (std::string line; std::getline(in, line);) {
    if (!absl::StrContains(line, word)) continue;
    nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace hone
