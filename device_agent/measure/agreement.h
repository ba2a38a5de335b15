// Do the times that came out of a kernel's process bear out? Compares what it claims with what the
// worker saw from outside: its own clock, and the CPU time that the system counted for the whole
// process, threads included. Pure arithmetic; the batch runner decides what a disagreement means.
#pragma once

#include <string>
#include <vector>

#include "device_agent/measure/orders.h"

namespace hone {

// What the worker saw of one order.
struct Seen {
  double wall_ns = 0;
  double cpu_ns = 0;  // of all threads of the process
};

// How many runs each sample of the answer consisted of, as the order implies.
std::vector<int> RunsOfSamples(const Order& order, const Answer& answer);

// Why the claimed times of a visit cannot be true, or "". They are within 5 % and 0.35 ms of what
// was seen (0.2 ms, and 0.15 ms for what surrounds the samples): not longer than the order took,
// and no CPU time beside them. `threads`: that the kernel may use. `flush_limit_ns`: how much of
// the time may have gone into dropping constants from caches.
std::string Disagreement(const Order& order, const Answer& answer, const Seen& seen, int threads,
                         double flush_limit_ns);

// Why a kernel that took so long for one run on inputs it had never seen cannot take `cost_ns`, or
// "": it may take 3 times as long, and what reading `bytes` anew takes (2 GB/s), and 20 us.
// `answer` and `seen` are of an order kRun.
std::string FreshRunDisagreement(double cost_ns, const Answer& answer, const Seen& seen,
                                 int threads, double bytes);

}  // namespace hone
