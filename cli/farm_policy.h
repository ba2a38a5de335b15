// What an owner of a farm may decide on the command line, as changes of its policy, and how the
// policy is shown. Pure functions used by farm_command.cc; no network, no clock.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "proto/policy.pb.h"

namespace hone {

// One decision, as its words were given.
struct FarmDecision {
  // "drain", "undrain", "reserve", "release", "accept", "limit", "revoke", "unrevoke"
  std::string action;
  std::string name;  // of a device, of a user for "limit", ROLE/NAME for "revoke"
  std::string why;
  std::string user;
  double hours = 0;
  // Below 0: stays as it is.
  int64_t devices_max = -1;
  int64_t batches_max = -1;
  double weight = -1;
};

// InvalidArgument says what is missing; NotFound that there is nothing to undo.
Status Decide(const FarmDecision& decision, int64_t now_unix_ms, pb::FarmPolicy* policy);

// Tables of the limits, the reservations that have not ended and the drained devices, with a last
// line that says what to do next.
std::string PolicyReport(const pb::FarmPolicy& policy, int64_t now_unix_ms, int width);

}  // namespace hone
