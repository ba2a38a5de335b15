// Reports on disk until the tracker has settled them, so that a restart of the agent loses no
// measurement: one file a report, written whole or not at all. Used by the agent; sends nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/farm.pb.h"

namespace hone {

class ReportSpool {
 public:
  // Makes the folder if it is missing.
  static StatusOr<ReportSpool> Open(const std::string& folder);

  // What an earlier life left, oldest first. Files that cannot be read are removed.
  std::vector<pb::ReportRequest> Load() const;
  Status Add(const pb::ReportRequest& report) const;
  // Nothing when there is none.
  void Remove(absl::string_view attempt_id) const;

 private:
  explicit ReportSpool(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(absl::string_view attempt_id) const;

  std::string folder_;
};

}  // namespace hone
