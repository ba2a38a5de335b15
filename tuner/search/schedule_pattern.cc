#include "tuner/search/schedule_pattern.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace hone {

SchedulePattern PatternOf(absl::string_view schedule_text) {
  auto in_word = [](char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '@'; };
  SchedulePattern pattern;
  size_t at = 0;
  while (at < schedule_text.size()) {
    const size_t begin = at;
    bool digits = true;
    double number = 0;
    for (; at < schedule_text.size() && in_word(schedule_text[at]); ++at) {
      digits = digits && absl::ascii_isdigit(schedule_text[at]);
      number = 10 * number + (schedule_text[at] - '0');
    }
    if (at == begin) {
      pattern.structure += schedule_text[at++];
    } else if (digits) {
      pattern.structure += '#';
      pattern.numbers.push_back(number);
    } else {
      pattern.structure.append(schedule_text.data() + begin, at - begin);
    }
  }
  return pattern;
}

absl::string_view StepsInside(absl::string_view schedule_text) {
  size_t at = schedule_text.find('\n');  // behind the version
  while (at != absl::string_view::npos &&
         absl::StartsWith(schedule_text.substr(at + 1), "layout ")) {
    at = schedule_text.find('\n', at + 1);
  }
  return at == absl::string_view::npos ? absl::string_view() : schedule_text.substr(at + 1);
}

double PatternDistance(const SchedulePattern& a, const SchedulePattern& b) {
  if (a.structure != b.structure) return std::numeric_limits<double>::infinity();
  double distance = 0;
  for (size_t i = 0; i < a.numbers.size(); ++i) {
    distance += std::abs(std::log2((1 + a.numbers[i]) / (1 + b.numbers[i])));
  }
  return distance;
}

}  // namespace hone
