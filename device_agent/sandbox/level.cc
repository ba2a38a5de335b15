#include "device_agent/sandbox/level.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

StatusOr<SandboxLevel> ParseSandboxLevel(absl::string_view text) {
  if (text.size() == 2 && text[0] == 'L' && text[1] >= '0' && text[1] <= '3')
    return static_cast<SandboxLevel>(text[1] - '0');
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is no level of the sandbox; there are L0, L1, L2 and L3"));
}

std::string SandboxLevelName(SandboxLevel level) {
  return absl::StrCat("L", static_cast<int>(level));
}

std::vector<std::string> WallsOf(SandboxLevel level) {
  std::vector<std::string> walls = {"process", "rlimits"};
  if (level >= SandboxLevel::kSystemCalls) walls.emplace_back("seccomp");
  if (level >= SandboxLevel::kNamespaces) {
    for (const char* wall : {"user", "pid", "net", "ipc", "uts"}) walls.emplace_back(wall);
  }
  if (level >= SandboxLevel::kEmptyRoot) walls.emplace_back("empty-root");
  return walls;
}

std::map<std::string, std::string> SandboxReport::Facts() const {
  std::map<std::string, std::string> facts;
  facts["sandbox"] = absl::StrCat(static_cast<int>(level));
  facts["sandbox_walls"] = absl::StrJoin(walls, ",");
  if (!why_not_higher.empty()) facts["sandbox_limit"] = why_not_higher;
  return facts;
}

}  // namespace hone
