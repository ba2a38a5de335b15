// BuilderSession: a builder's connection to its tracker. Takes what is to be built, hands it to
// whoever builds, uploads the code and reports, without end: it comes back by itself after
// anything. Used by hone-agent --build. It never compiles.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "proto/builds.pb.h"

namespace hone {

struct BuilderOptions {
  std::string tracker;  // "unix:/path" or "host:port", or several with commas
  std::string tls_dir;  // of certificates (rpc/credentials.h); "" for plain text on this machine
  std::string name;     // unique among the farm's builders
  uint64_t boot = 0;    // rises with every start: the time in ms since 1970 will do
  int capacity = 1;     // builds at a time
  pb::CompilerVersion version;
};

struct BuilderHandlers {
  // Builds, and calls `done` once, perhaps on another thread: BuildPool::Submit. Must outlive the
  // session, and all calls of `done`.
  std::function<void(pb::BuildRequest request, std::function<void(pb::BuildReply)> done)> build;
  // The tracker was reached (OK), or was not (why), when that changes: for the log.
  std::function<void(Status)> on_link;
  // The tracker will not have this builder: a younger one has its name. The session has ended.
  std::function<void(Status)> on_refused;
};

class BuilderSession {
 public:
  // InvalidArgument if the address or the name is not usable. Connects by itself.
  static StatusOr<std::unique_ptr<BuilderSession>> Start(BuilderOptions options,
                                                         BuilderHandlers handlers);
  // What is being built is dropped.
  ~BuilderSession();

  // Whether it builds nothing and owes the tracker nothing.
  bool IsIdle() const;
  // How many builds it was given so far.
  uint64_t taken() const;
  // Takes no more, and hands back what is not finished, so that others build it at once: the last
  // that a builder does. False if the tracker did not answer within the timeout: then it finds out
  // by itself, later.
  bool HandBack(absl::Duration timeout);

 private:
  class Impl;
  explicit BuilderSession(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the builds under way
};

}  // namespace hone
