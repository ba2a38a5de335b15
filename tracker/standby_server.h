// StandbyServer: what a tracker that does not lead says: whatever it is asked, where the leader is.
// Run by ElectedTracker; knows no service, no database and no state of the farm.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace hone {

class StandbyServer {
 public:
  // Listens at `listen` when it returns; with a folder of certificates as TrackerServer does.
  // Errors: the address is not usable, or in use.
  static StatusOr<std::unique_ptr<StandbyServer>> Start(const std::string& listen,
                                                        const std::string& tls_dir);
  ~StandbyServer();

  // What callers are told from now on; "" while nobody is known to lead.
  void SetLeader(const std::string& address);
  // `listen`, with the port that was taken.
  const std::string& address() const;

 private:
  class Impl;
  explicit StandbyServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
