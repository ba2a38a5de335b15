// What the measuring worker and the process that runs kernels for it say to each other: an order,
// then its answer, as plain structs over a socket pair. The worker believes an answer only as far
// as its own clocks and its own look at the outputs bear it out (agreement.h): a kernel can write
// anywhere in the process that answers.
#pragma once

#include <cstdint>

namespace hone {

enum class OrderKind : int32_t {
  kPrepareAndRun,  // `prepare`, then one timed run
  kRun,            // one timed run
  kVisit,          // `samples` of `runs_per_sample` runs
  kFirstVisit,     // as many samples as it takes to see how it stands to `best_ns`
  kWarmUp,         // no run: the matrix unit is brought to speed; `throttled` says if it was not
};

struct Order {
  uint64_t nonce = 0;  // comes back in the answer; new for every order
  OrderKind kind = OrderKind::kRun;
  int32_t candidate = 0;  // as the process numbers those it has loaded
  int32_t samples = 1;
  int32_t runs_per_sample = 1;
  double estimate_ns = 0;
  double best_ns = 0;  // 0: none known
};

struct Answer {
  static constexpr int kSamplesMax = 16;

  uint64_t nonce = 0;
  int32_t status = 0;        // absl::StatusCode of loading
  int32_t sample_count = 0;  // of run_ns
  int32_t raced_out = 0;     // clearly slower than best_ns
  int32_t throttled = 0;
  int32_t moved = 0;                // to another core, meanwhile
  int32_t tiles = 0;                // the candidate uses a matrix unit
  int32_t page_faults = 0;          // while samples were taken
  double run_ns[kSamplesMax] = {};  // the mean of each sample's runs
  double flushed_ns = 0;            // spent on dropping constants from caches
  double around_ns = 0;             // CPU time around the samples of a visit; told once, at first
  double gflops_before = 0;
  double gflops_after = 0;
  double lost_share = 0;
  char text[256] = {};  // why it did not load; or what something was written beside: "scratch"
};

}  // namespace hone
