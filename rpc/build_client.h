// BuildClient: has candidates compiled by the farm's builders, as a BuildPool does on this machine.
// Used by the tuner where there are builders. It keeps every build until its artifact is here, so a
// tracker that is started anew costs nothing but time. Never compiles: what the farm cannot build
// is handed back to the caller's own pool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "proto/builds.pb.h"

namespace hone {

struct BuildClientOptions {
  std::string tracker;  // "unix:/path" or "host:port", or several with commas
  std::string tls_dir;  // of certificates (rpc/credentials.h); "" for plain text on this machine
  std::string user;     // whose share of the builders it is
  pb::CompilerVersion version;
};

class BuildClient {
 public:
  using Done = std::function<void(pb::BuildReply)>;
  // Builds what the farm did not: there are no builders (any more), or no tracker for a while.
  using Local = std::function<void(pb::BuildRequest request, Done done)>;

  // InvalidArgument if the address is not usable. Connects with the first call.
  static StatusOr<std::unique_ptr<BuildClient>> Connect(BuildClientOptions options, Local local);
  // What is not finished is answered with CANCELLED.
  ~BuildClient();

  // Calls `done` once, on another thread, with the request's id and an artifact with its code, or a
  // failure: COMPILE_ERROR, TIMEOUT, INFRA (builders were lost again and again), CANCELLED.
  void Submit(pb::BuildRequest request, Done done);

  // All builders, also those of other versions.
  StatusOr<pb::ListBuildersReply> ListBuilders();
  // How many builds at a time the builders of this version do; 0 if there are none.
  StatusOr<int> Capacity();

 private:
  class Impl;
  explicit BuildClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
