#include "base/median.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

constexpr double kConfidence = 0.95;

}  // namespace

double MedianDeviation(std::vector<double> values, double center) {
  for (double& value : values) value = std::abs(value - center);
  return Median(std::move(values));
}

// The k-th smallest and the k-th largest of n values enclose the median unless fewer than k of them
// lie on one side of it, and how many do is binomial: with n = 20, k = 6.
Interval MedianInterval(std::vector<double> values) {
  HONE_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const double wanted = (1 - kConfidence) / 2;
  // Chances that 0, 1, ... of n values lie below; as logarithms, since they are tiny for many.
  double below = 0;
  double log_chance = -static_cast<double>(n) * std::log(2.0);
  size_t k = 0;
  while (k < n / 2) {
    below += std::exp(log_chance);
    if (below > wanted) break;
    log_chance += std::log(static_cast<double>(n - k)) - std::log(static_cast<double>(k + 1));
    ++k;
  }
  if (k == 0) return {values.front(), values.back()};
  return {values[k - 1], values[n - k]};
}

double Median(std::vector<double> values) {
  HONE_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace hone
