// What the programs of a farm hold, looked at now and then while it works for long: does anything
// grow that should not? Used by chaos.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/chaos/chaos_farm.h"
#include "tests/support/process_tree.h"

namespace hone {

class SoakSamples {
 public:
  // Returns the sample as a line of a table. `batches`: finished so far.
  std::string Take(const ChaosFarm& farm, int64_t batches);

  // From a third of the way on, when all is warm, nothing may grow but the database, and that only
  // as what it holds does. Returns what did, in words; nothing of fewer than four samples.
  std::vector<std::string> Judge() const;

 private:
  struct Sample {
    double seconds = 0;
    int64_t batches = 0;
    int64_t database_bytes = 0;
    std::map<std::string, ProcessUse> uses;  // by program
  };
  absl::Time began_ = absl::InfiniteFuture();
  std::vector<Sample> samples_;
};

}  // namespace hone
