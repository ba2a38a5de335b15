// A round of chaos: a farm of real programs at work, to which things happen that a seed decides,
// until enough of its processes were killed; then calm, in which everything must come to its end;
// then judgement, by the invariants that the simulator is held to. The same seed makes the same
// plan of faults; when they strike is up to the machine.
#pragma once

#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "tests/chaos/chaos_farm.h"
#include "tests/chaos/judgement.h"

namespace hone {

struct ChaosOptions {
  uint64_t seed = 1;
  int kills = 30;                               // of tracker, agents, daemons and their workers
  absl::Duration time = absl::Minutes(2);       // it ends the storm also when kills are missing
  absl::Duration pause = absl::Seconds(0.5);    // between faults, on average
  absl::Duration fault_max = absl::Seconds(8);  // of a cut, a stop, a full disk
  absl::Duration calm = absl::Minutes(3);       // that everything has to come to its end
  int users = 3;
  int crowd = 8;              // made-up agents, which keep many leases and results on their way
  double batches_per_s = 30;  // of each user
  int outstanding_max = 8;    // batches of a user
  int jobs = 2;               // tuning jobs
  int jobs_at_a_time = 1;     // handed in together, and then the next ones
  bool faults = true;         // false: a soak, in which nothing happens
  std::string only;           // the one kind of fault that happens; "" for all
  // The tracker is killed every `pause`, and nothing else happens: then nothing may be refused, and
  // 1 % be measured in vain.
  bool flaps = false;
  // So many schedules of cut links, one after another, and nothing else happens: after each one all
  // agents have to be at work again soon.
  int link_schedules = 0;
  ChaosFarmOptions farm;
};

struct ChaosReport {
  std::map<std::string, int> faults;  // kind -> how often
  int kills = 0;
  std::vector<std::string> skipped;
  std::vector<std::string> violations;
  int64_t submitted = 0, refused = 0, cancelled = 0, fetched = 0;
  int64_t jobs_done = 0;
  int restarted =
      0;  // programs that ended by themselves, as when the worker that they try out is killed
  Judgement judgement;         // its violations are among the above
  std::vector<double> back_s;  // after each kill of the tracker, from its start to its first answer
  std::vector<double> recovered_s;  // of each agent, from the end of its cut to a new result
  double storm_s = 0;

  std::string ToString() const;
};

// An error when the farm cannot even be started.
StatusOr<ChaosReport> RunChaos(const ChaosOptions& options, std::ostream& log);

}  // namespace hone
