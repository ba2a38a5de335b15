// Times as people read them. Used by reports, and by errors that say when something ends or began.
#pragma once

#include <cstdint>
#include <string>

namespace hone {

// "2026-11-20 14:03" in UTC.
std::string FormatUnixMillis(int64_t unix_ms);

}  // namespace hone
