// DelayProxy: a stretch of network between a tracker and its agents: passes bytes of TCP
// connections on in both directions, each some time after they came, like a long line does (and
// unlike a slow one). For benchmarks and tests on machines whose kernel cannot delay packets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace hone {

class DelayProxy {
 public:
  // Listens on a free port of 127.0.0.1, and dials `target` ("127.0.0.1:7710") for each connection.
  static StatusOr<std::unique_ptr<DelayProxy>> Start(const std::string& target,
                                                     absl::Duration delay);
  ~DelayProxy();

  // What to dial.
  const std::string& address() const;
  // For bytes that come from now on.
  void SetDelay(absl::Duration delay);

 private:
  class Impl;
  explicit DelayProxy(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
