// How hone reports that the world, or an input, is not as asked: absl::Status values that say what,
// where, and what to do next. Everyone uses it. Our own bugs are not errors: see check.h.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hone {

using absl::Status;
using absl::StatusOr;

}  // namespace hone

// Returns from the enclosing function when `expression` (a Status) is an error.
#define HONE_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                       \
    if (::absl::Status hone_status_ = (expression); !hone_status_.ok()) return hone_status_; \
  } while (false)

// Evaluates a StatusOr; returns its error, or declares/assigns `left` from its value.
#define HONE_ASSIGN_OR_RETURN(left, expression) \
  HONE_ASSIGN_OR_RETURN_(HONE_CONCAT_(hone_or_, __LINE__), left, expression)
#define HONE_ASSIGN_OR_RETURN_(name, left, expression) \
  auto name = (expression);                            \
  if (!name.ok()) return std::move(name).status();     \
  left = *std::move(name)
#define HONE_CONCAT_(a, b) HONE_CONCAT2_(a, b)
#define HONE_CONCAT2_(a, b) a##b
