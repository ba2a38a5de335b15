// JobUser: a person who has kernels tuned, some jobs after others, on a farm in trouble. Used by
// chaos. Every job has to be taken in, and to be done in the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "rpc/farm_client.h"
#include "rpc/tuning_client.h"

namespace hone {

class JobUser {
 public:
  // Begins at once. Hands in so many `at_a_time`, and others when those have ended.
  JobUser(FarmClientOptions farm, int jobs_max, int at_a_time);
  ~JobUser();

  // No job after those that were handed in.
  void Finish() { finishing_ = true; }
  bool ended() const { return ended_; }
  // Ends at once, whatever the job does.
  void GiveUp();

  int64_t done() const { return done_; }
  // Jobs that were not done, and why; once it has ended.
  const std::vector<std::string>& troubles() const { return troubles_; }

 private:
  void Run();
  // The job's id; none if it gave up.
  std::optional<int64_t> Submit(TuningClient& client, int number);
  void Await(TuningClient& client, int64_t id);

  const FarmClientOptions farm_;
  const int jobs_max_, at_a_time_;
  std::atomic<bool> finishing_ = false, giving_up_ = false, ended_ = false;
  std::atomic<int64_t> done_ = 0;
  std::vector<std::string> troubles_;
  std::thread thread_;
};

}  // namespace hone
