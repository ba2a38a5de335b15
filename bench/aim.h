// An aim: what a benchmark measured of something that it promises, beside the promise, as the one
// line that bench/run reads. Used by the benchmarks; it never ends one, short or not.
#pragma once

#include "absl/strings/string_view.h"

namespace hone {

enum class Better { kMore, kLess };

// "aim NAME measured M target T ok|short" to stdout, at once. `name` without spaces; both values in
// the unit that ends it, a ratio without one.
void PrintAim(absl::string_view name, double measured, double target, Better better);

}  // namespace hone
