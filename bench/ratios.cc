#include "bench/ratios.h"

#include <algorithm>
#include <cmath>

namespace hone {

void Ratios::Add(double ratio, const std::string& name) {
  log_sum_ += std::log(ratio);
  ++count_;
  if (ratio >= worst_) return;
  worst_ = ratio;
  worst_name_ = name;
}

void Ratios::Add(const Ratios& others) {
  log_sum_ += others.log_sum_;
  count_ += others.count_;
  if (others.worst_ >= worst_) return;
  worst_ = others.worst_;
  worst_name_ = others.worst_name_;
}

double Ratios::Mean() const { return std::exp(log_sum_ / std::max(1, count_)); }

}  // namespace hone
