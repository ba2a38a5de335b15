#include "device_agent/measure/tile_patience.h"

#include <algorithm>

namespace hone {
namespace {

// Of 200 waits that were seen, half ended within 16 ms, three in four within 60.
constexpr int64_t kPatienceMs = 60;
// Others take power for two seconds on end, and a verdict is for ever.
constexpr int64_t kPatienceOfFinalMs = 480;
constexpr int kHalvingsMost = 8;

}  // namespace

void TilePatience::BeginBatch(bool final, int64_t most_ms) {
  int64_t whole_ms = final ? kPatienceOfFinalMs : kPatienceMs;
  if (most_ms > 0) whole_ms = std::min(whole_ms, most_ms);
  final_ = final;
  left_ms_ = std::max(kPauseMs, whole_ms >> in_vain_[final_]);
  held_back_ = true;
}

void TilePatience::Note(bool held_back) {
  held_back_ = held_back;
  if (!held_back) in_vain_ = {};
}

void TilePatience::Spend() {
  left_ms_ -= kPauseMs;
  if (left_ms_ <= 0) in_vain_[final_] = std::min(in_vain_[final_] + 1, kHalvingsMost);
}

}  // namespace hone
