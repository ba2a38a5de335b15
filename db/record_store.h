// RecordStore: every measurement hone ever made, and the questions asked about them. The tuner
// trains and resumes from it, the compiler looks up the best schedule, `hone records` lists it.
// Implementations: SqliteRecordStore (a file) and MemoryRecordStore (tests, searches without a
// database). Stores texts and numbers as they come; never parses a schedule or a workload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "proto/measurement.pb.h"
#include "proto/record.pb.h"

namespace hone {

// What is tuned: records compete with each other within one key. A record of another target is
// never an answer.
struct RecordKey {
  std::string workload_key;  // digest of the workload's text
  std::string target;        // text form
  std::string numerics;      // "strict", "fp32", ...
  int codegen_epoch = 0;
};

// What `hone records` asks for; what is absent does not restrict.
struct RecordFilter {
  std::optional<std::string> workload_key;
  std::optional<std::string> target;
  std::optional<std::string> numerics;
  std::optional<int> codegen_epoch;
  std::optional<pb::FailureKind> failure;
  std::optional<std::string> device;
  std::optional<bool> tainted;
  bool newest_first = false;  // else in the order they were appended
  int64_t limit = 0;          // 0: all
};

// One line of an overview: a key with how often it was measured and how well.
struct RecordSummary {
  RecordKey key;
  std::string workload;  // text form
  int64_t records = 0;
  int64_t failures = 0;
  std::optional<double> best_cost_ns;
  int64_t latest_unix_ms = 0;
};

class RecordStore {
 public:
  virtual ~RecordStore() = default;

  // Stores all or none, in one transaction, and returns once they are safe on disk. Ids are given
  // by the store. A record without workload, target, numerics or schedule is refused. Records that
  // are there already (same non-empty batch_id and candidate) are skipped.
  virtual Status Append(absl::Span<const pb::Record> records) = 0;

  // The record to compile with: among those that are OK and not tainted, those measured on a device
  // of quality "bench" before others, then finalists before others, then the lowest cost_ns, then
  // the oldest. With `layouts`, only records with these boundary layouts.
  virtual StatusOr<std::optional<pb::Record>> Best(
      const RecordKey& key, const std::optional<std::string>& layouts = std::nullopt) const = 0;
  // The best of each choice of boundary layouts, in the order of their layouts.
  virtual StatusOr<std::vector<pb::Record>> BestPerLayouts(const RecordKey& key) const = 0;

  // Everything ever measured for the key, failures included, oldest first: for resuming.
  virtual StatusOr<std::vector<pb::Record>> History(const RecordKey& key) const = 0;
  // All OK records of a target under any workload that are not tainted, newest first: for learning
  // across workloads. `limit` 0 means all.
  virtual StatusOr<std::vector<pb::Record>> AllForTarget(absl::string_view target,
                                                         int64_t limit) const = 0;

  virtual StatusOr<std::vector<pb::Record>> Query(const RecordFilter& filter) const = 0;
  // One entry a key, in the order the keys first came.
  virtual StatusOr<std::vector<RecordSummary>> Summarize() const = 0;
};

}  // namespace hone
