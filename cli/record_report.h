// What `hone records` shows of a database: an overview of all kernels, or all about one. Reads a
// RecordStore and renders text; opens nothing.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/numerics.h"
#include "base/status.h"
#include "db/record_store.h"

namespace hone {

// A table with one line a tuned kernel: best time, GFLOP/s, share of the peak measured beside it.
StatusOr<std::string> RecordOverview(const RecordStore& store, std::optional<Numerics> numerics,
                                     int width);

// Both show one numerics class where one is given, else all.

// The kernel whose workload key begins with `key_prefix`: its workload, the best schedule of each
// target, and the `limit` best measurements. NotFound, or InvalidArgument when several begin so.
StatusOr<std::string> RecordDetails(const RecordStore& store, absl::string_view key_prefix,
                                    std::optional<Numerics> numerics, int64_t limit, int width);

}  // namespace hone
