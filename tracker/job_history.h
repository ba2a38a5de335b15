// JobHistory: how much faster the models of tuning jobs became, as their workers tell it: the
// curves of the farm's page. Bounded however many jobs there are and however long they run.
// JobShell tells it what happens; it decides nothing and is not stored.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "proto/snapshot.pb.h"
#include "proto/tuning.pb.h"

namespace hone {

inline constexpr int kJobCurvesMax = 64;
inline constexpr int kJobPointsMax = 128;

// "queued", "running", "done"; "unknown" for a phase of another version.
std::string PhaseWord(pb::JobPhase phase);

class JobHistory {
 public:
  // The job is like this now.
  void Saw(const pb::Job& job);
  // The job as it is shown: without the workload's text and single kernels, of which it says the
  // sums, and with its curve.
  pb::JobEntry EntryOf(const pb::Job& job) const;

 private:
  struct Curve {
    int64_t id = 0;
    std::vector<pb::JobPoint> points;
  };
  std::list<Curve> curves_;  // what moved last comes first
};

}  // namespace hone
