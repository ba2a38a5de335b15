#include "base/unix_time.h"

#include <ctime>

namespace hone {

std::string FormatUnixMillis(int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm date{};
  gmtime_r(&seconds, &date);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &date);
  return text;
}

}  // namespace hone
