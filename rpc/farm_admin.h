// FarmAdmin: what the owner of a farm asks of its tracker: reads and changes the policy, makes
// tokens, reads the audit trail. Used by
// the command line. Submits no work: see farm_client.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/policy.pb.h"
#include "proto/security.pb.h"

namespace hone {

class FarmAdmin {
 public:
  // InvalidArgument if the address ("unix:/path" or "host:port", several with commas) is not
  // usable. Connects with the first call; `tls_dir` as in FarmClientOptions. Unavailable if no
  // tracker answers.
  static StatusOr<std::unique_ptr<FarmAdmin>> Connect(const std::string& tracker,
                                                      const std::string& tls_dir = "");
  ~FarmAdmin();

  StatusOr<pb::FarmPolicy> GetPolicy();
  // Makes a change to the latest policy, again if somebody else's came between, and returns what
  // is in force then. An error of `change` is returned as it is, and nothing is changed.
  StatusOr<pb::FarmPolicy> ChangePolicy(const std::function<Status(pb::FarmPolicy*)>& change);

  // A token with which somebody can join the farm.
  StatusOr<pb::MakeTokenReply> MakeToken(const pb::MakeTokenRequest& request);
  // The whole audit trail, oldest first.
  StatusOr<std::vector<pb::AuditEntry>> ReadAudit();

 private:
  class Impl;
  explicit FarmAdmin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
