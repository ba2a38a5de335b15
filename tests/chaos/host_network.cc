#include "tests/chaos/host_network.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "rpc/child_process.h"

namespace hone {
namespace {

std::string IpProgram() {
  for (const char* path : {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "";
}

// Runs `ip` with these arguments; FailedPrecondition says what it did not do.
Status Ip(std::vector<std::string> arguments) {
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  auto ip = ChildProcess::Start(
      {.program = IpProgram(), .arguments = arguments, .socket = false, .output_fd = nowhere});
  close(nowhere);
  HONE_RETURN_IF_ERROR(ip.status());
  const ProcessEnd end = ip->Wait();
  if (end == ProcessEnd{}) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("`ip ", absl::StrJoin(arguments, " "), "` ", end.ToString()));
}

}  // namespace

StatusOr<std::unique_ptr<HostNetwork>> HostNetwork::Make(int hosts) {
  if (IpProgram().empty()) {
    return absl::FailedPreconditionError("no links can be cut: there is no `ip`; install iproute2");
  }
  if (geteuid() != 0) {
    return absl::FailedPreconditionError("no links can be cut: only root makes network namespaces");
  }
  std::unique_ptr<HostNetwork> network(new HostNetwork(hosts));
  if (const Status status = network->Build(); !status.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no links can be cut, namespaces do not work here: ", status.message()));
  }
  return network;
}

HostNetwork::~HostNetwork() {
  for (int host = 0; host < hosts_; ++host) {
    // The link goes with one of its ends; a namespace goes when nothing runs in it.
    Ip({"link", "del", Link(host)}).IgnoreError();
    Ip({"netns", "del", Namespace(host)}).IgnoreError();
  }
}

Status HostNetwork::Build() {
  for (int host = 0; host < hosts_; ++host) {
    const std::string name = Namespace(host), link = Link(host), far = absl::StrCat(link, "p");
    HONE_RETURN_IF_ERROR(Ip({"netns", "add", name}));
    HONE_RETURN_IF_ERROR(
        Ip({"link", "add", link, "type", "veth", "peer", "name", far, "netns", name}));
    HONE_RETURN_IF_ERROR(Ip({"addr", "add", absl::StrCat(OurAddress(host), "/30"), "dev", link}));
    HONE_RETURN_IF_ERROR(
        Ip({"-n", name, "addr", "add", absl::StrCat(HostAddress(host), "/30"), "dev", far}));
    HONE_RETURN_IF_ERROR(Ip({"link", "set", link, "up"}));
    HONE_RETURN_IF_ERROR(Ip({"-n", name, "link", "set", far, "up"}));
    HONE_RETURN_IF_ERROR(Ip({"-n", name, "link", "set", "lo", "up"}));
  }
  return absl::OkStatus();
}

// Names and addresses hold the process, so that two of these do not meet.
std::string HostNetwork::Namespace(int host) const {
  return absl::StrCat("hone-", getpid(), "-", host);
}
std::string HostNetwork::Link(int host) const { return absl::StrCat("hn", getpid(), "x", host); }
std::string HostNetwork::OurAddress(int host) const {
  return absl::StrCat("10.", 64 + getpid() / 256 % 128, ".", getpid() % 256, ".", 4 * host + 1);
}
std::string HostNetwork::HostAddress(int host) const {
  return absl::StrCat("10.", 64 + getpid() / 256 % 128, ".", getpid() % 256, ".", 4 * host + 2);
}

std::vector<std::string> HostNetwork::Prefix(int host) const {
  return {IpProgram(), "netns", "exec", Namespace(host)};
}

Status HostNetwork::Sever(int host, Cut cut) {
  switch (cut) {
    case Cut::kBoth:
      return Ip({"link", "set", Link(host), "down"});
    case Cut::kFromHost:
      return Ip({"-n", Namespace(host), "route", "replace", "blackhole",
                 absl::StrCat(OurAddress(host), "/32")});
    case Cut::kToHost:
      return Ip({"route", "replace", "blackhole", absl::StrCat(HostAddress(host), "/32")});
  }
  return absl::OkStatus();
}

Status HostNetwork::Heal(int host) {
  Ip({"route", "del", "blackhole", absl::StrCat(HostAddress(host), "/32")}).IgnoreError();
  Ip({"-n", Namespace(host), "route", "del", "blackhole", absl::StrCat(OurAddress(host), "/32")})
      .IgnoreError();
  return Ip({"link", "set", Link(host), "up"});
}

}  // namespace hone
