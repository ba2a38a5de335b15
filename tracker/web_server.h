// WebServer: the farm's page, its live updates and its metrics over HTTP/1.1, on a thread of its
// own. Reads the farm through two functions and changes nothing. In plain text it listens on
// loopback and unix sockets only, and answers only requests that name such a host; elsewhere it
// speaks TLS, asks for a certificate of the farm, and lets in whom the table of permissions does.
//
//   /               the page (farm_page.h)
//   /events         a FarmSnapshot as JSON, again whenever it changes (Server-Sent Events)
//   /snapshot.json  the same, once
//   /metrics        for Prometheus (metrics.h)
//   /healthz        200 as long as the thread runs
//   /readyz         200 while the farm is serving, else 503 and why
//
// Bounded against whoever connects: so many connections, so large a request, so much time for it; a
// reader of /events that does not read is dropped.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc/credentials.h"
#include "tracker/web_answer.h"

namespace hone {

struct WebLimits {
  int connections_max = 64;
  int connections_per_identity_max = 16;  // of those over TLS
  int header_bytes_max = 8 << 10;
  std::chrono::milliseconds request_timeout{5'000};  // from connecting to the request's last byte
  std::chrono::milliseconds write_timeout{10'000};   // for one answer or update
  std::chrono::milliseconds update_interval{1'000};
  std::chrono::milliseconds keep_alive{10'000};  // an update comes at least so often
};

// Who may look, from other machines.
struct WebSecurity {
  std::string tls_dir;  // of certificates (rpc/credentials.h); "": nobody
  CallChecks checks;    // as of calls: by the method behind what is asked for
};

class WebServer {
 public:
  // Listens when it returns, at "127.0.0.1:9188", "[::1]:0" or "unix:/path"; with certificates also
  // at "0.0.0.0:9188" and the like. InvalidArgument for an address that leaves this machine without
  // certificates; Unavailable when it is in use; FailedPrecondition: the certificates are no good.
  static StatusOr<std::unique_ptr<WebServer>> Start(const std::string& listen, WebSource source,
                                                    const WebLimits& limits = {},
                                                    const WebSecurity& security = {});
  // Closes all connections; the source is not called afterwards.
  ~WebServer();

  // What a browser is told: "http://127.0.0.1:9188/", "https://...", or "unix:/path".
  std::string url() const;
  // `listen`, with the port that was taken.
  const std::string& address() const;

 private:
  class Impl;
  explicit WebServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
