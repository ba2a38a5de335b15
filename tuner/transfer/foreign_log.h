// What other tuners wrote down of their measurements: logs of AutoTVM and Ansor, one JSON record a
// line, and MetaSchedule's pairs of files. A line becomes the time that some schedule of theirs
// took for a workload that hone has too, or the reason why it does not. hone cannot run their
// schedules, so none is kept. Used by `hone records import`; reads lines, never files, and trusts
// none.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "compiler/ir/workload.h"

namespace hone {

// The time of one run of a workload, as somebody else measured it.
struct ForeignCost {
  std::string format;    // "autotvm" or "metaschedule"
  std::string workload;  // hone's text form
  std::string target;    // in the other tuner's words
  double cost_ns = 0;    // the mean of what they say
  int64_t unix_ms = 0;   // 0: not said
};

// A line that gives no cost.
struct ForeignReject {
  std::string reason;  // a few words, the same for all lines of a kind
  bool bad = false;    // no record of any format; else one that hone has no workload for
};

using ForeignLine = std::variant<ForeignCost, ForeignReject>;

class ForeignLog {
 public:
  // `metaschedule_workloads`: the lines of database_workload.json that go with a
  // database_tuning_record.json; empty for other logs.
  explicit ForeignLog(const std::vector<std::string>& metaschedule_workloads = {});

  ForeignLine Read(absl::string_view line) const;

 private:
  // The names of a module's computing blocks, "matmul"; "" if it could not be read.
  std::vector<std::string> blocks_;
};

}  // namespace hone
