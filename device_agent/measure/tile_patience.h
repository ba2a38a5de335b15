// How long the visits of a batch wait for a matrix unit that others on the machine hold back: power
// that they take slows it to less than half, for milliseconds or for minutes. Waiting mends the
// first; the second it would only make longer. So patience that ran out in vain is halved for the
// next batch, down to a single pause, and is whole again once the unit had its full speed; that of
// verdicts apart from that of common batches. Used by the worker, for as long as it lives; what was
// not waited for keeps its flag.
#pragma once

#include <array>
#include <cstdint>

namespace hone {

class TilePatience {
 public:
  static constexpr int64_t kPauseMs = 4;

  // More of it for a verdict (`final`); no more than `most_ms`, if that is not 0.
  void BeginBatch(bool final, int64_t most_ms = 0);
  // Whether the unit is to be looked at before the next visit: not after one that had its full
  // speed, nor when the patience of this batch is spent.
  bool MustLook() const { return held_back_ && left_ms_ > 0; }
  // What a look or a visit told.
  void Note(bool held_back);
  // A pause was made.
  void Spend();

 private:
  bool final_ = false;
  int64_t left_ms_ = 0;
  // Batches whose patience ran out, one after another: common ones, and verdicts.
  std::array<int, 2> in_vain_ = {};
  bool held_back_ = true;
};

}  // namespace hone
