#include "bench/turns.h"

#include <algorithm>
#include <cstdint>

#include "absl/time/clock.h"
#include "device_agent/measure/calibration.h"

namespace hone {
namespace {

constexpr double kVisitNs = 2e6;
constexpr int kRunsMost = 1000;

void Visit(Contestant& contestant, const Clock& clock) {
  contestant.run();
  double spent_ns = 0;
  for (int runs = 0; runs < 2 || (spent_ns < kVisitNs && runs < kRunsMost); ++runs) {
    const int64_t begin_ns = clock.MonotonicNanos();
    contestant.run();
    const auto ns = static_cast<double>(clock.MonotonicNanos() - begin_ns);
    contestant.best_ns = std::min(contestant.best_ns, ns);
    spent_ns += ns;
  }
}

}  // namespace

Turns TimeInTurns(std::vector<Contestant>& contestants, const TurnOptions& options,
                  const Clock& clock) {
  Turns turns;
  const int64_t start_ns = clock.MonotonicNanos();
  const auto is_enough = [&](int visits) {
    if (visits < options.visits) return false;
    return !options.tiles || turns.at_full_speed >= options.full_speed_visits ||
           absl::Nanoseconds(clock.MonotonicNanos() - start_ns) > options.patience;
  };
  for (int visit = 0; !is_enough(visit); ++visit) {
    for (Contestant& contestant : contestants) {
      Visit(contestant, clock);
      if (&contestant == &contestants.front()) {
        const double tile_gflops = options.tiles ? hone_tile_gflops() : 0;
        const double gflops = hone_fma_gflops();
        turns.peak_gflops = std::max(turns.peak_gflops, gflops);
        turns.at_full_speed += hone_tile_is_fast(tile_gflops, gflops) ? 1 : 0;
      }
      absl::SleepFor(options.pause);
    }
  }
  return turns;
}

}  // namespace hone
