// From a relocatable object to the shared object that a kernel is: linking by lld, in this process,
// and the checks that hold the kernel ABI's rules. Used by code generation alone.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// Links one object. FailedPrecondition, naming the symbol or section, if the object needs anything
// from outside (a library call), or the result has dynamic relocations or writable data.
// Calls are serialised: lld keeps process-wide state.
StatusOr<std::string> LinkObject(absl::string_view object);

}  // namespace hone
