// How fast one core reads from each cache and from memory: with the multiply-add peak, the limits
// that kernels are held against, and what the tuner's analytic prior computes with. Part of
// core_speed.h; chooses no core, and never times a kernel.
#pragma once

#include <cstdint>

#include "base/target.h"
#include "proto/device.pb.h"

namespace hone {

// Bytes that are read over and over to see the speed of a cache: half of it, so that neighbours and
// our own code find room, but far more than the cache inside it holds. 0 where there is no such
// size: the cache is missing, or hardly larger than the inner one.
int64_t ProbeBytes(int64_t cache_bytes, int64_t inner_bytes);

// Reads for some 100 ms on the calling core, which should be a quiet one. Fills all but the peak;
// what cannot be measured here stays 0: a cache that the target lacks, memory where programs cannot
// empty the caches.
void MeasureBandwidth(const Target& target, pb::CoreSpeed& speed);

}  // namespace hone
