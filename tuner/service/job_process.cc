#include "tuner/service/job_process.h"

#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

class JobProgram : public JobProcess {
 public:
  explicit JobProgram(ChildProcess child) : child_(std::move(child)) {}

  std::optional<Status> Poll() override {
    const std::optional<ProcessEnd> end = child_.Poll();
    if (!end) return std::nullopt;
    if (*end == ProcessEnd()) return absl::OkStatus();
    if (*end == ProcessEnd{.exit_code = kExitUnreachable}) {
      return absl::UnavailableError("the tracker was out of reach");
    }
    return absl::AbortedError(absl::StrCat("its worker ", end->ToString()));
  }

 private:
  ChildProcess child_;
};

}  // namespace

StatusOr<std::unique_ptr<JobProcess>> StartJobProgram(const std::string& program,
                                                      std::vector<std::string> arguments,
                                                      const pb::Job& job) {
  HONE_ASSIGN_OR_RETURN(ChildProcess child, ChildProcess::Start({.program = program,
                                                                 .arguments = std::move(arguments),
                                                                 .own_group = true}));
  HONE_RETURN_IF_ERROR(WriteFrame(child.socket(), job));
  return std::make_unique<JobProgram>(std::move(child));
}

StatusOr<pb::Job> TakeJob() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(kWorkerSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return absl::FailedPreconditionError(
        "--worker is for hone-tunerd itself, which starts one for each job");
  }
  pb::Job job;
  HONE_ASSIGN_OR_RETURN(const bool taken, ReadFrame(kWorkerSocket, job));
  if (!taken) return absl::FailedPreconditionError("the daemon handed over no job");
  // Nothing follows but the end of the daemon, which may be sudden.
  std::thread([] {
    char byte = 0;
    while (read(kWorkerSocket, &byte, 1) > 0) {
    }
    _exit(1);
  }).detach();
  return job;
}

}  // namespace hone
