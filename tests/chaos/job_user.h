// JobUser: a person who has kernels tuned, one job after another, on a farm in trouble. Used by
// chaos. Every job that was taken in must come to its end, and be done, or say that the tracker's
// disk was full.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "rpc/farm_client.h"

namespace hone {

class JobUser {
 public:
  // Begins at once.
  JobUser(FarmClientOptions farm, int jobs_max);
  ~JobUser();

  // No job after this one.
  void Finish() { finishing_ = true; }
  bool ended() const { return ended_; }
  // Ends at once, whatever the job does.
  void GiveUp();

  int64_t done() const { return done_; }
  int64_t disk_full() const { return disk_full_; }
  // Jobs that were not done, and why; once it has ended.
  const std::vector<std::string>& troubles() const { return troubles_; }

 private:
  void Run();
  void TuneOne(int number);

  const FarmClientOptions farm_;
  const int jobs_max_;
  std::atomic<bool> finishing_ = false, giving_up_ = false, ended_ = false;
  std::atomic<int64_t> done_ = 0, disk_full_ = 0;
  std::vector<std::string> troubles_;
  std::thread thread_;
};

}  // namespace hone
