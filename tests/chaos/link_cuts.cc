#include "tests/chaos/link_cuts.h"

#include <algorithm>

namespace hone {
namespace {

constexpr absl::Duration kHalfPeriod = absl::Milliseconds(500);

}  // namespace

std::vector<LinkCut> RandomLinkCuts(int hosts, absl::Duration length_max, std::mt19937& random) {
  const auto share = [&random] { return std::uniform_real_distribution<double>(0, 1)(random); };
  std::vector<LinkCut> cuts;
  const int first = static_cast<int>(random() % static_cast<uint32_t>(hosts));
  for (int i = 0; i < hosts; ++i) {
    const int host = (first + i) % hosts;
    if (i > 0 && random() % 2 == 0) continue;
    const absl::Duration begin = length_max * share() / 4;
    // Mostly short, now and then long enough for the tracker to give the agent up.
    const double long_for = share();
    const absl::Duration end =
        begin + std::max(kHalfPeriod, (length_max - begin) * long_for * long_for);
    const uint32_t kind = random() % 4;
    if (kind < 3) {
      cuts.push_back(
          {.host = host, .cut = static_cast<HostNetwork::Cut>(kind), .begin = begin, .end = end});
      continue;
    }
    for (absl::Duration at = begin; at < end; at += 2 * kHalfPeriod) {
      cuts.push_back({.host = host, .begin = at, .end = at + kHalfPeriod});
    }
  }
  return cuts;
}

}  // namespace hone
