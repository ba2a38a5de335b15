// DeviceHealth: whether a device still is as fast as it was, by its canaries: when to run the next,
// what a reading means, when the device is put in quarantine and when it comes back. A pure state
// machine over readings and the time; the agent has it run canaries and keeps its history.
//
//           canary drifts, three in a row, or cannot run: DEVICE_FAULT
//   healthy ----------------------------------------------------------> quarantined
//           <----------------------------------------------------------
//                      three good canaries in a row, a minute apart
//
// A batch that took its worker down has a canary run at once. If that is good, the batch was at
// fault (KERNEL_FAULT), and the device goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/canary.pb.h"

namespace hone {

struct HealthLimits {
  int64_t period_ms = 30 * 60 * 1000;
  int64_t period_in_quarantine_ms = 60 * 1000;
  // A canary that is wished for, as after a lost link, is not run sooner than so long after the
  // last one.
  int64_t gap_min_ms = 60 * 1000;
  int readings_min = 5;  // before anything is judged
  int readings_max = 200;
  int taints_max = 16;
  double sigmas_max = 3;
  // The least that a robust sigma counts for, as a share of the median: what a device of this
  // quality does by chance.
  double sigma_floor = 0.02;
  bool faster_is_drift = true;  // too: else a faster reading is a good one
  int bad_to_quarantine = 3;    // in a row
  int good_to_return = 3;

  // Machines that others share, or whose clock moves, vary more.
  static HealthLimits For(bool bench);
};

class DeviceHealth {
 public:
  // `history`: from an earlier life of the agent.
  DeviceHealth(HealthLimits limits, pb::CanaryHistory history);

  bool CanaryDue(int64_t unix_ms) const;
  // When it is; for a timer.
  int64_t NextCanaryUnixMs() const;
  // The link to the tracker came back: soon.
  void WishForCanary() { wished_ = true; }
  // A batch took its worker down: now.
  void Suspect() { suspected_ = true; }

  // What came of a canary; the reading has its time.
  void Take(const pb::CanaryReading& reading);
  void TakeFailure(absl::string_view why, int64_t unix_ms);
  // The owner said at `unix_ms` that the device's speed is right as it is: what is known of it is
  // forgotten, and so is the quarantine. True if that is news.
  bool Accept(int64_t unix_ms);

  bool quarantined() const { return !history_.quarantine().empty(); }
  // Why, with numbers, and what happens next; "" while healthy.
  std::string Reason() const;
  // What the last canary after a Suspect() showed: "KERNEL_FAULT"; "" if there was none.
  const std::string& verdict() const { return verdict_; }
  // To be kept over a restart.
  const pb::CanaryHistory& history() const { return history_; }

 private:
  // What is odd about the reading; "" if nothing is, or too little is known.
  std::string Drift(const pb::CanaryReading& reading) const;
  void TakeGood(const pb::CanaryReading& reading);
  void TakeBad(const std::string& why, int64_t unix_ms);

  const HealthLimits limits_;
  pb::CanaryHistory history_;
  bool fresh_ = true;  // no canary yet in this life
  bool wished_ = false;
  bool suspected_ = false;
  int bad_in_a_row_ = 0;
  std::string verdict_;
};

}  // namespace hone
