// ImportStore: what a database keeps of others' work: costs that other tuners wrote down, and which
// signed packages of records were taken in. Imported costs are shown beside hone's own and are
// never an answer to any question of RecordStore's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace hone {

// How far a log was read.
struct ImportProgress {
  std::string source;  // names the log: a digest of its first line
  int64_t lines = 0;
  int64_t bytes = 0;
};

// Of one workload and target.
struct ImportedCost {
  std::string workload_key;
  std::string target;    // in the other tuner's words
  std::string workload;  // text form
  std::string format;    // of the log
  int64_t costs = 0;     // how many were read
  double cost_ns = 0;    // the least of them
  int64_t line = 0;      // where that stands
  int64_t unix_ms = 0;   // when it was measured; 0: not known
};

// The latest package of a name that was taken from the owner of a key.
struct TakenPackage {
  int64_t version = 0;
  std::string digest;  // of its manifest
};

class ImportStore {
 public:
  virtual ~ImportStore() = default;

  // Adds what was found in some lines of a log and says how far it was read, both at once: an
  // import that is broken off goes on where it was, and no line counts twice.
  virtual Status AddImported(absl::Span<const ImportedCost> costs,
                             const ImportProgress& progress) = 0;
  // Nothing: it was never read.
  virtual StatusOr<std::optional<ImportProgress>> FindImport(absl::string_view source) const = 0;
  // One a workload and target, in the order of their keys.
  virtual StatusOr<std::vector<ImportedCost>> SummarizeImported() const = 0;

  virtual StatusOr<std::optional<TakenPackage>> FindPackage(absl::string_view public_key,
                                                            absl::string_view name) const = 0;
  virtual Status SavePackage(absl::string_view public_key, absl::string_view name,
                             const TakenPackage& package) = 0;
};

}  // namespace hone
