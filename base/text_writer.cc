#include "base/text_writer.h"

#include <cmath>
#include <cstdio>

namespace hone {

std::string HexFloat(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[40];
  std::snprintf(text, sizeof(text), "%a", value);
  return text;
}

}  // namespace hone
