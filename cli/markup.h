// Text on its way into HTML or SVG. Whoever writes markup passes every text that came from outside
// through here.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace hone {

// `text` with what markup gives a meaning to written as entities: & < > " '. Control characters,
// which no HTML can hold, become blanks; line ends and tabs stay.
std::string EscapeMarkup(absl::string_view text);

}  // namespace hone
