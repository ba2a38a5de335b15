#include "cli/quantity.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace hone {
namespace {

// Three digits that matter: 1.23, 12.3, 123.
std::string ThreeDigits(double value) {
  // The bounds are where rounding would bring a fourth digit.
  if (value < 9.995) return absl::StrFormat("%.2f", value);
  if (value < 99.95) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

}  // namespace

std::string FormatNanos(double nanos) {
  if (!(nanos > 0) || std::isinf(nanos)) return "-";
  if (nanos < 999.5) return absl::StrFormat("%.0f ns", nanos);
  if (nanos < 999.5e3) return ThreeDigits(nanos / 1e3) + " us";
  if (nanos < 999.5e6) return ThreeDigits(nanos / 1e6) + " ms";
  return ThreeDigits(nanos / 1e9) + " s";
}

std::string FormatWait(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "-";
  const int64_t total = std::llround(seconds);
  const int64_t hours = total / 3600;
  const int64_t minutes = total / 60 % 60;
  if (hours > 0) return absl::StrFormat("%d:%02d:%02d", hours, minutes, total % 60);
  return absl::StrFormat("%d:%02d", minutes, total % 60);
}

std::string FormatBytes(int64_t bytes) {
  if (bytes < 1024) return absl::StrFormat("%d B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : {"KiB", "MiB", "GiB", "TiB"}) {
    value /= 1024;
    unit = larger;
    if (value < 1023.95) break;
  }
  return absl::StrFormat("%.1f %s", value, unit);
}

std::string FormatGflops(double gflops) {
  return gflops > 0 ? absl::StrFormat("%.1f", gflops) : "-";
}

std::string FormatShare(double share) {
  return share > 0 ? absl::StrFormat("%.1f %%", 100 * share) : "-";
}

std::string FormatRatio(double ratio) {
  return ratio > 0 && !std::isinf(ratio) ? absl::StrFormat("%.2fx", ratio) : "-";
}

}  // namespace hone
