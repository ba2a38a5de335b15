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
  // Likewise, but of all pauses between an answer and the next order so far: it had nothing to do.
  double idle_cpu_ns = 0;
  int pauses = 0;
};

// How many runs each sample of the answer consisted of, as the order implies.
std::vector<int> RunsOfSamples(const Order& order, const Answer& answer);

// CPU time that a visit takes beside its runs.
struct BesideRuns {
  double around_ns = 0;       // calibrations, and readings of counters
  double flush_limit_ns = 0;  // dropping constants from caches; as far as the answer claims it
};

// Why the claimed times of a visit cannot be true, or "". They are within 5 % and 0.2 ms of what
// was seen: not longer than the order took, and no CPU time beside them but twice `beside`. A
// sample may have waited for the core, so it explains 4 times as much as the shortest one at most.
// `threads`: that the kernel may use.
std::string Disagreement(const Order& order, const Answer& answer, const Seen& seen, int threads,
                         const BesideRuns& beside);

// Why a process has not rested between orders, or "": something in it may compute ahead what a
// timed run then only hands over. 0.5 ms a thread are let pass, and 50 us of every pause, for
// threads that wait for more work.
std::string UnrestDisagreement(const Seen& seen, int threads);

// Why a kernel that took so long for one run on inputs it had never seen cannot take `cost_ns`, or
// "": it may take 3 times as long, and what reading `bytes` anew takes (2 GB/s), and 20 us; 1 ms
// where threads have to be woken.
// `answer` and `seen` are of an order kRun.
std::string FreshRunDisagreement(double cost_ns, const Answer& answer, const Seen& seen,
                                 int threads, double bytes);

}  // namespace hone
