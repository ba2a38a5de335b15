// BuildStore: what builders made of the builds they were asked for, so that a tracker that is
// started anew does not have them made again. A cache: what is lost of it is built anew. Only the
// tracker uses it; the same stores implement it as FarmJournal, conformance-tested.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "proto/builds.pb.h"

namespace hone {

class BuildStore {
 public:
  static constexpr int kBuildsMax = 10'000;

  virtual ~BuildStore() = default;

  // In the order in which their keys were first saved.
  virtual StatusOr<std::vector<pb::BuiltReply>> LoadBuilds() const = 0;
  // Stores or replaces them, and keeps the latest kBuildsMax of all.
  virtual Status SaveBuilds(absl::Span<const pb::BuiltReply> builds) = 0;
};

}  // namespace hone
