// A worker for the tests: answers each BuildRequest with its own schedule as the failure's message,
// says what it inherited, or ends badly when told to.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

int main() {
  hone::pb::BuildRequest request;
  while (hone::ReadFrame(hone::kWorkerSocket, request).value_or(false)) {
    const std::string& order = request.schedule();
    if (order == "exit") return 7;
    if (order == "abort") abort();
    if (order == "ended") raise(SIGTERM);
    if (order == "hang") pause();
    hone::pb::BuildReply reply;
    reply.set_id(request.id());
    reply.mutable_failure()->set_message(order);
    if (order == "descriptors") {
      int open = 0;
      for (int fd = 4; fd < 256; ++fd) open += fcntl(fd, F_GETFD) >= 0;
      reply.mutable_failure()->set_message(std::to_string(open));
    }
    if (!hone::WriteFrame(hone::kWorkerSocket, reply).ok()) return 1;
  }
  return 0;
}
