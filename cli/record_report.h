// What `hone records` shows of a database: an overview of all kernels, or all about one. Reads a
// RecordStore and renders text; opens nothing.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/numerics.h"
#include "base/status.h"
#include "db/import_store.h"
#include "db/record_store.h"

namespace hone {

struct ReportOptions {
  std::optional<Numerics> numerics;  // of one class; else of all
  int64_t min_score = 0;             // leaves out kernels whose best record scores less
  int64_t now_unix_ms = 0;
  int width = 0;  // of the terminal; 0: as wide as it takes
};

// A table with one line a tuned kernel: best time, GFLOP/s, share of the peak measured beside it.
StatusOr<std::string> RecordOverview(const RecordStore& store, const ReportOptions& options);

// The kernel whose workload key begins with `key_prefix`: its workload, the best schedule of each
// target, and the `limit` best measurements. NotFound, or InvalidArgument when several begin so.
StatusOr<std::string> RecordDetails(const RecordStore& store, absl::string_view key_prefix,
                                    int64_t limit, const ReportOptions& options);

// Times that other tuners wrote down, beside hone's own of the same kernels.
StatusOr<std::string> ImportedReport(const RecordStore& store, const ImportStore& imports,
                                     int width);

}  // namespace hone
