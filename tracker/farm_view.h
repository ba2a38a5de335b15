// FarmView: what is to be seen of a FarmState now: its devices, queue and users, as part of a
// FarmSnapshot. FarmShell makes one under its mutex; it reads, decides nothing and keeps nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/farm.pb.h"
#include "proto/snapshot.pb.h"
#include "tracker/farm_state.h"

namespace hone {

class FarmView {
 public:
  // `now_ns`: monotonic. The state must outlive the view.
  FarmView(const FarmState& state, int64_t now_ns) : state_(state), now_ns_(now_ns) {}

  // Devices, their counts by state, queue and users, within the limits of `request`.
  void AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const;
  // What holds up the batches that `request` names.
  pb::WhyReply Why(const pb::WhyRequest& request) const;
  // Seconds since the batch was submitted; 0 if it is not known.
  double AgeOf(const std::string& batch_id) const;
  // Of all devices seen: `see(name, state, reason)`, in the order of their names.
  void VisitDevices(const std::function<void(const std::string& name, pb::DeviceState state,
                                             const std::string& reason)>& see) const;

 private:
  void AddDevices(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const;
  void AddQueue(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const;
  void AddUsers(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const;
  pb::DeviceEntry EntryOf(const std::string& name, const FarmState::Device& device,
                          pb::DeviceState state, const std::string& reason) const;
  pb::WhyEntry WhyOf(const std::string& batch_id) const;
  pb::AttemptEntry EntryOf(const FarmState::Attempt& attempt) const;

  const FarmState& state_;
  const int64_t now_ns_;
};

}  // namespace hone
