// hone-build-worker: compiles candidates for the build pool, which starts it and speaks to it over
// fd 3. Not for people. A process of its own because LLVM ends the process on errors of its own:
// that costs one candidate.
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/numerics.h"
#include "base/status.h"
#include "compiler/compile.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

StatusOr<pb::Artifact> Build(const pb::BuildRequest& request) {
  HONE_ASSIGN_OR_RETURN(const Workload workload, Workload::Parse(request.workload()));
  HONE_ASSIGN_OR_RETURN(const Schedule schedule, Schedule::Parse(request.schedule()));
  HONE_ASSIGN_OR_RETURN(const Target target, Target::Parse(request.target()));
  const std::string& named = request.options().numerics();
  HONE_ASSIGN_OR_RETURN(const Numerics numerics, ParseNumerics(named.empty() ? "fp32" : named));
  HONE_RETURN_IF_ERROR(CheckAlgorithms(schedule, numerics));
  return Compile(workload, schedule, target);
}

pb::BuildReply Answer(const pb::BuildRequest& request, const Clock& clock) {
  const int64_t begin_ns = clock.MonotonicNanos();
  StatusOr<pb::Artifact> artifact = Build(request);
  const int64_t compile_ns = clock.MonotonicNanos() - begin_ns;
  pb::BuildReply reply;
  reply.set_id(request.id());
  if (artifact.ok()) {
    artifact->set_compile_ns(compile_ns);
    *reply.mutable_artifact() = *std::move(artifact);
  } else {
    pb::Measurement& failure = *reply.mutable_failure();
    failure.set_failure(pb::COMPILE_ERROR);
    failure.set_message(std::string(artifact.status().message()));
    failure.set_compile_ns(compile_ns);
  }
  return reply;
}

// Until the peer closes the socket.
Status Serve(int socket, const Clock& clock) {
  while (true) {
    pb::BuildRequest request;
    HONE_ASSIGN_OR_RETURN(const bool more, ReadFrame(socket, request));
    if (!more) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(WriteFrame(socket, Answer(request, clock)));
  }
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--version") {
    // For builders of a farm, which do not link the compiler.
    printf("%s %d\n", HONE_VERSION, hone::kCodegenEpoch);
    return 0;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  // Sent to a whole job of a cluster, or by Ctrl-C to all of a terminal: it is our parent's to end
  // in good order, which takes us along. To die of it would look as if the candidate had done it.
  for (const int ended : {SIGTERM, SIGINT, SIGHUP}) signal(ended, SIG_IGN);
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(hone::kWorkerSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    fprintf(stderr,
            "hone-build-worker is started by 'hone tune', with a socket on fd 3; run that.\n");
    return 2;
  }
  const hone::SystemClock clock;
  const hone::Status status = hone::Serve(hone::kWorkerSocket, clock);
  if (status.ok()) return 0;
  fprintf(stderr, "hone-build-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}
