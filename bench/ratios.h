// Ratios: how many times as fast we are, over a list of problems: the geometric mean, and the
// worst. Used by compare_kernels.
#pragma once

#include <string>

namespace hone {

class Ratios {
 public:
  void Add(double ratio, const std::string& name);
  void Add(const Ratios& others);

  int count() const { return count_; }
  double Mean() const;  // geometric; 1 of none
  double worst() const { return worst_; }
  const std::string& worst_name() const { return worst_name_; }

 private:
  double log_sum_ = 0;
  int count_ = 0;
  double worst_ = 1e9;
  std::string worst_name_;
};

}  // namespace hone
