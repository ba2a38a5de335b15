// Reading others' logs into a database: line by line, so that a log of any size takes the same
// memory, and in steps that are kept with how far it came, so that it goes on where it was broken
// off. No line is fatal. Used by `hone records import`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/status.h"
#include "db/import_store.h"

namespace hone {

struct LogImport {
  std::string path;
  std::string rejected_path;  // where bad lines go, with why; made when there are any
  std::function<void(int64_t lines)> progress;  // now and then; may be empty
};

struct ImportReport {
  int64_t lines = 0;                        // of this time
  int64_t resumed_at = 0;                   // lines that were read before
  int64_t costs = 0;                        // taken in
  int64_t bad = 0;                          // lines that are no record
  std::map<std::string, int64_t> left_out;  // records without use, by reason
};

// NotFound, PermissionDenied: the log cannot be read, or bad lines not written anywhere.
StatusOr<ImportReport> ImportLog(const LogImport& import, ImportStore& store);

// For people: what came of it.
std::string Describe(const LogImport& import, const ImportReport& report);

}  // namespace hone
