#include "tracker/listening_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hone {

// gRPC would take over a living one too.
Status ClearSocket(const std::string& listen) {
  absl::string_view path = listen;
  if (!absl::ConsumePrefix(&path, "unix:")) return absl::OkStatus();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool alive = probe >= 0 && connect(probe, reinterpret_cast<const sockaddr*>(&address),
                                           sizeof(address)) == 0;
  const bool refused = !alive && errno == ECONNREFUSED;
  if (probe >= 0) close(probe);
  if (alive) {
    return absl::FailedPreconditionError(
        absl::StrCat("a server listens at ", listen, " already; use it, or choose another path"));
  }
  if (refused) unlink(address.sun_path);
  return absl::OkStatus();
}

}  // namespace hone
