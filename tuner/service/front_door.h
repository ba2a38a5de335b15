// FrontDoor: the service Tuning at a daemon, for those who can reach the daemon and not the
// tracker, and for clients that have no compiler of their own: a model with an operator that is
// missing is refused here, before it is a job. Passes everything else on to the tracker; keeps
// nothing.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace hone {

class FrontDoor {
 public:
  // Listens at `listen` when it returns. With a `tls_dir` both ends speak TLS where they leave this
  // machine. Errors: an address is not usable, or in use.
  static StatusOr<std::unique_ptr<FrontDoor>> Open(const std::string& listen,
                                                   const std::string& tracker,
                                                   const std::string& tls_dir = "");
  // Calls under way end; watchers come back to another daemon or to the tracker.
  ~FrontDoor();

  // What to connect to: `listen`, with the port that was taken.
  const std::string& address() const;

 private:
  class Impl;
  explicit FrontDoor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
