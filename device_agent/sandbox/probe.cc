#include "device_agent/sandbox/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "device_agent/sandbox/cgroup.h"
#include "rpc/child_process.h"

namespace hone {
namespace {

constexpr int kProbeTimeoutMs = 20000;

}  // namespace

StatusOr<SandboxReport> ProbeSandbox(const std::string& worker_program,
                                     std::optional<SandboxLevel> wanted) {
  const int output = memfd_create("hone-sandbox-probe", MFD_CLOEXEC);
  if (output < 0) return absl::UnavailableError(absl::StrCat("memfd_create: ", strerror(errno)));
  ChildProcess::Options options;
  options.program = worker_program;
  options.arguments = {"--probe-sandbox"};
  options.socket = false;
  options.output_fd = output;
  StatusOr<ChildProcess> process = ChildProcess::Start(options);
  if (process.ok()) process->WaitFor(kProbeTimeoutMs);
  std::array<char, 4096> text;
  const ssize_t n = pread(output, text.data(), text.size(), 0);
  close(output);
  HONE_RETURN_IF_ERROR(process.status());
  HONE_ASSIGN_OR_RETURN(
      SandboxReport report,
      ParseSandboxReport(absl::string_view(text.data(), n > 0 ? static_cast<size_t>(n) : 0)));
  if (const std::optional<Cgroup> group =
          Cgroup::Create("", absl::StrCat("hone-probe-", getpid()), {int64_t{1} << 30, 16});
      group.has_value()) {
    report.walls.push_back(group->Version());
    group->Remove();
  }
  return wanted.has_value() ? RequireSandbox(std::move(report), *wanted) : report;
}

StatusOr<SandboxReport> ParseSandboxReport(absl::string_view text) {
  SandboxReport report;
  bool has_level = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> fact =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    int level = 0;
    if (fact.first == "sandbox" && absl::SimpleAtoi(fact.second, &level) && level >= 0 &&
        level <= static_cast<int>(SandboxLevel::kEmptyRoot)) {
      report.level = static_cast<SandboxLevel>(level);
      has_level = true;
    }
    if (fact.first == "sandbox_walls") report.walls = absl::StrSplit(fact.second, ',');
    if (fact.first == "sandbox_limit") report.why_not_higher = std::string(fact.second);
  }
  if (has_level) return report;
  return absl::InternalError(
      "hone-worker does not say what its sandbox is; is it of the same version as hone-agent?");
}

StatusOr<SandboxReport> RequireSandbox(SandboxReport report, SandboxLevel wanted) {
  if (report.level < wanted)
    return absl::FailedPreconditionError(
        absl::StrCat("this machine's sandbox reaches ", SandboxLevelName(report.level), ", not ",
                     SandboxLevelName(wanted), " as --sandbox asks: ", report.why_not_higher,
                     "; or start with --sandbox ", SandboxLevelName(report.level)));
  if (report.level == wanted) return report;
  SandboxReport lower = {wanted, WallsOf(wanted),
                         absl::StrCat("--sandbox ", SandboxLevelName(wanted))};
  for (const std::string& wall : report.walls) {
    const bool landlock = wall == "landlock" && wanted >= SandboxLevel::kSystemCalls;
    if (landlock || absl::StartsWith(wall, "cgroup")) lower.walls.push_back(wall);
  }
  return lower;
}

}  // namespace hone
