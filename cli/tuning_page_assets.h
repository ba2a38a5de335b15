// The parts of the page of a tuning that never change, made from the files of their names when hone
// is built.
#pragma once

namespace hone {

extern const char kTuningPageStyle[];   // tuning_page.css
extern const char kTuningPageScript[];  // tuning_page.js

}  // namespace hone
