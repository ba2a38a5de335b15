// Integer division that rounds towards minus infinity, as `floordiv` in expressions means it. For
// code that folds, bounds or cuts index expressions; generated code has its own.
#pragma once

#include <cstdint>

namespace hone {

// `b` is not 0.
inline int64_t FloorDivide(int64_t a, int64_t b) {
  return a / b - ((a % b != 0 && (a ^ b) < 0) ? 1 : 0);
}

}  // namespace hone
