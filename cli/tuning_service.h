// What the commands about tuning jobs (submit, jobs, watch, cancel, why) have in common: the
// tracker they ask, and the job they mean.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/default_paths.h"
#include "rpc/tuning_client.h"

namespace hone {

// The farm that is asked.
struct FarmChoice {
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
};

Option JobOption(int64_t* job);
// The options and those that name the farm. `farm` must outlive parsing; what it holds is the
// default.
std::vector<Option> WithFarm(std::vector<Option> options, FarmChoice* farm);

// InvalidArgument when no tracker is named.
StatusOr<std::unique_ptr<TuningClient>> ConnectTuning(const FarmChoice& farm);

// " --tracker ADDRESS" for commands to type next; "" when the environment names the tracker.
std::string TrackerFlag(const std::string& tracker);

}  // namespace hone
