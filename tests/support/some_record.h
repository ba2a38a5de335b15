// A record that every store keeps, for tests of stores.
#pragma once

#include <string>

#include "proto/record.pb.h"

namespace hone {

inline pb::Record SomeRecord(const std::string& schedule) {
  pb::Record record;
  record.set_workload("workload/1 w");
  record.set_workload_key("key");
  record.set_target("target/1 t");
  record.set_numerics("fp32");
  record.set_schedule(schedule);
  record.mutable_measurement()->set_cost_ns(10);
  return record;
}

}  // namespace hone
