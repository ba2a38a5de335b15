// hone-worker: measures candidates for hone-agent, which starts it and speaks to it over fd 3. Not
// for people. Linked statically, without gRPC and without the compiler, so that it runs on any
// device of its architecture and its forks are cheap.
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "device_agent/measure/zygote.h"
#include "rpc/child_process.h"

int main() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(hone::kWorkerSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    fprintf(stderr, "hone-worker is started by hone-agent, with a socket on fd 3; run that.\n");
    return 2;
  }
  const hone::Status status = hone::ServeBatches(hone::kWorkerSocket);
  if (status.ok()) return 0;
  fprintf(stderr, "hone-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}
