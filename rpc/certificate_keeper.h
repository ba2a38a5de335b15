// CertificateKeeper: renews a member's certificate in good time, on a thread of its own, for
// programs that run for months: agents and daemons. People's certificates end, and they join again.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "rpc/credentials.h"

namespace hone {

class CertificateKeeper {
 public:
  // Looks at once, and then every hour. `told` hears of each renewal: OK, or why it failed, which
  // is tried again; called on the keeper's thread.
  CertificateKeeper(std::string tracker, TlsFolder folder, std::function<void(const Status&)> told);
  ~CertificateKeeper();

 private:
  void Run();

  const std::string tracker_;
  const TlsFolder folder_;
  const std::function<void(const Status&)> told_;
  absl::Notification stopping_;
  std::thread thread_;
};

}  // namespace hone
