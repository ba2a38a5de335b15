// HostNetwork: hosts of their own for programs of one machine: network namespaces, each joined to
// us by a link that can be cut, both ways or one way, without either end being told. For chaos,
// which must be root for it. Leaves nothing behind.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace hone {

class HostNetwork {
 public:
  // FailedPrecondition, with the reason, where namespaces cannot be made.
  static StatusOr<std::unique_ptr<HostNetwork>> Make(int hosts);
  ~HostNetwork();

  // What goes before a command line to run it on that host.
  std::vector<std::string> Prefix(int host) const;
  // Where we are reached from that host.
  std::string OurAddress(int host) const;

  enum class Cut {
    kBoth,      // the link is down
    kFromHost,  // what the host sends is lost
    kToHost,    // what it is sent is lost
  };
  // No end hears of it. The same cut may be made twice.
  Status Sever(int host, Cut cut);
  // Ends all cuts of the host.
  Status Heal(int host);

 private:
  explicit HostNetwork(int hosts) : hosts_(hosts) {}
  Status Build();
  std::string Namespace(int host) const;
  std::string Link(int host) const;
  std::string HostAddress(int host) const;

  const int hosts_;
};

}  // namespace hone
