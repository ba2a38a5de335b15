// A FarmSnapshot as Prometheus reads it (text format 0.0.4). Pure. The names are stable and
// documented in the manual; labels are states, kinds and users (at most 50), never batches, jobs or
// devices, so that a scrape stays small however large the farm.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "proto/snapshot.pb.h"

namespace hone {

inline constexpr int kMetricUsersMax = 50;

struct MetricKind {
  const char* name;  // without _bucket, _sum and _count
  const char* type;  // "counter", "gauge", "histogram"
  const char* help;
};

// All there are, in the order they are written.
absl::Span<const MetricKind> MetricKinds();

std::string MetricsText(const pb::FarmSnapshot& snapshot);

}  // namespace hone
