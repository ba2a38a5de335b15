#include "device_agent/measure/second_tries.h"

#include <algorithm>

namespace hone {
namespace {

constexpr int kTriesPerCandidate = 1;

}  // namespace

void SecondTries::BeginBatch(int candidates, bool final) {
  left_ = kTriesPerCandidate * candidates;
  final_ = final;
  // What was true of the last batch need not be of this one: a single try finds out.
  in_vain_ = std::min(in_vain_, kInVainMax - 1);
}

bool SecondTries::Take() {
  if (left_ <= 0 || (in_vain_ >= kInVainMax && !final_)) return false;
  --left_;
  return true;
}

void SecondTries::Note(bool helped) { in_vain_ = helped ? 0 : in_vain_ + 1; }

}  // namespace hone
