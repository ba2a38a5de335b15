// hone-worker: measures candidates for hone-agent, which starts it and speaks to it over fd 3. Not
// for people. Linked statically, without gRPC and without the compiler, so that it runs on any
// device of its architecture and its forks are cheap.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/measure/zygote.h"
#include "device_agent/sandbox/sandbox.h"
#include "rpc/child_process.h"

namespace hone {
namespace {

// --sandbox=L0..L3 (default: the highest there is), --cgroup=FOLDER (several), --probe-sandbox.
struct Arguments {
  std::optional<SandboxLevel> level;
  std::vector<std::string> cgroups;
  bool probe = false;
};

StatusOr<Arguments> ParseArguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--probe-sandbox") {
      arguments.probe = true;
    } else if (absl::ConsumePrefix(&argument, "--sandbox=")) {
      HONE_ASSIGN_OR_RETURN(arguments.level, ParseSandboxLevel(argument));
    } else if (absl::ConsumePrefix(&argument, "--cgroup=")) {
      arguments.cgroups.emplace_back(argument);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("what is '", argument, "'?"));
    }
  }
  return arguments;
}

// Before anything is given up that joining takes.
Status Join(const std::string& cgroup) {
  const int fd = open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  const bool joined = fd >= 0 && write(fd, "0", 1) == 1;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (joined) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot join ", cgroup, ": ", strerror(error)));
}

Status Serve(const Arguments& arguments) {
  for (const std::string& cgroup : arguments.cgroups) HONE_RETURN_IF_ERROR(Join(cgroup));
  // Before the network namespace, in which nobody else's claims are seen.
  const MeasuringCore core = MeasuringCore::ClaimForThisProcess();
  const SandboxLevel level =
      arguments.level.has_value() ? *arguments.level : Sandbox::Probe().level;
  HONE_ASSIGN_OR_RETURN(const Sandbox sandbox, Sandbox::Enter(level, DeviceKind::kCpu));
  return ServeBatches(kWorkerSocket, sandbox, core);
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const hone::StatusOr<hone::Arguments> arguments = hone::ParseArguments(argc, argv);
  if (!arguments.ok()) {
    fprintf(stderr, "hone-worker: %s\n", std::string(arguments.status().message()).c_str());
    return 2;
  }
  if (arguments->probe) {
    for (const auto& [name, value] : hone::Sandbox::Probe().Facts())
      printf("%s %s\n", name.c_str(), value.c_str());
    return 0;
  }
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(hone::kWorkerSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    fprintf(stderr, "hone-worker is started by hone-agent, with a socket on fd 3; run that.\n");
    return 2;
  }
  const hone::Status status = hone::Serve(*arguments);
  if (status.ok()) return 0;
  fprintf(stderr, "hone-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}
