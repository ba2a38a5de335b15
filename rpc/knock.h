// Knock: what stands behind an address, found step by step and without gRPC, whose errors all say
// "unavailable": is there such a host, does it let us in, and what does it speak? Used by the
// doctor alone; sends a greeting and nothing else.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hone {

// As far as we came.
enum class Reach {
  kReached,
  kBadAddress,  // it is no address
  kNoSuchHost,  // its name leads nowhere
  kNoSocket,    // there is no such unix socket
  kForbidden,   // the unix socket is not for us
  kRefused,     // nobody listens there
  kNoAnswer,    // nothing comes back: a firewall, or a host that is off
};

// What the other side says to HTTP/2's greeting in plain text.
enum class Speaks {
  kNothing,  // not a byte within the time
  kHttp2,    // as gRPC does
  kTls,      // it wants to be spoken to in TLS
  kHttp1,    // a web server
  kOther,
};

struct KnockResult {
  Reach reach = Reach::kReached;
  std::string detail;  // the system's words
  Speaks speaks = Speaks::kNothing;
};

// `address` is "unix:/path" or "host:port". Takes no longer than twice the timeout, and what
// looking up a name takes.
KnockResult Knock(absl::string_view address, absl::Duration timeout);

}  // namespace hone
