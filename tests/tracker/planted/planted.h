// Which of the planted bugs (*.patch beside this) is in force: asked by the copies of the tracker's
// sources that the patches were made to, which only planted_bugs_test is built from.
#pragma once

#include "absl/strings/string_view.h"

namespace hone {

bool Planted(absl::string_view bug);

}  // namespace hone
