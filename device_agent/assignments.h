// What the tracker has given one device to do, and how far that is: the part of the agent that
// decides, as a pure state machine. Orders and events in; what to run, to kill and to report out.
// Knows no sockets, processes or clocks.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/farm.pb.h"

namespace hone {

class Assignments {
 public:
  // Takes orders for this device: new grants are queued, what is no longer granted is dropped, and
  // under a new epoch everything is. True when the attempt that runs was dropped and must be
  // killed.
  bool Apply(const pb::DeviceOrders& orders);

  // Attempts whose code is not there yet and not being fetched. From then on it is.
  std::vector<pb::Grant> StartFetching();
  // How that went. If `there` is false it is to be fetched again. Nothing if it was dropped.
  void EndFetching(absl::string_view attempt_id, bool there);

  // The attempt to start now, which from then on is the running one; nullopt while one runs or
  // the next one's code is not there.
  std::optional<pb::Grant> StartNext();
  // The running attempt cannot run: its code is to be fetched again.
  void Postpone();

  // The running attempt is measured: it waits to be settled. Nullopt when it was dropped meanwhile.
  std::optional<pb::Grant> FinishRunning();

  // A report of an earlier life of the agent, which is held until it is settled.
  void HoldReported(absl::string_view attempt_id, absl::string_view batch_id);
  // The tracker has settled a report: forget the attempt.
  void Settle(absl::string_view attempt_id);

  bool running() const;
  bool empty() const { return attempts_.empty(); }
  // How many attempts were taken so far.
  uint64_t taken() const { return taken_; }
  uint64_t epoch() const { return epoch_; }
  // Fills `epoch` and `held`.
  void Describe(pb::DeviceStatus& status) const;

 private:
  enum class Stage { kWaiting, kFetching, kReady, kRunning, kReported };
  struct Attempt {
    Stage stage = Stage::kWaiting;
    pb::Grant grant;  // without its batch once reported
  };

  uint64_t epoch_ = 0;
  uint64_t taken_ = 0;
  std::deque<Attempt> attempts_;  // in the order of the grants
};

}  // namespace hone
