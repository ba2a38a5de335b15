// What a tracker wants to know of where measurements come from, for tests that make them up.
#pragma once

#include "proto/batch.pb.h"

namespace hone {

inline void AddProvenance(pb::BatchResult* result) {
  auto& environment = *result->mutable_environment();
  environment["agent_version"] = "test";
  environment["sandbox"] = "L0";
  environment["gate.retries"] = "0";
}

}  // namespace hone
