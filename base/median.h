// Robust statistics of measured times: the median, how far values stray from it, and how sure the
// median is. Used wherever times are summed up; pure arithmetic, knows nothing of what the values
// are.
#pragma once

#include <vector>

namespace hone {

// Of a non-empty list; the mean of the two middle values when their number is even.
double Median(std::vector<double> values);

// The median of the distances from `center`: unlike the standard deviation, it does not mind a few
// values far away. Of a non-empty list.
double MedianDeviation(std::vector<double> values, double center);

struct Interval {
  double low = 0;
  double high = 0;
};
// Where the median of what the values were drawn from lies with 95 % confidence: between two of the
// values, whatever their distribution. Of fewer than six values the smallest and the largest, which
// is the best that they can say.
Interval MedianInterval(std::vector<double> values);

}  // namespace hone
