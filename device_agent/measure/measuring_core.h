// The cores that kernels are measured on. For kernels on one thread it is one and the same for
// every candidate and for the peak beside it, and no other measuring worker's of this machine: a
// worker claims it for as long as it lives. The threads of other kernels get a core each. Where
// there are not enough cores, the system places threads as it likes.
#pragma once

#include <string>
#include <vector>

namespace hone {

// `cpus`, the best to measure on first: those with the largest capacity (of big and little cores),
// then those with the fastest clock, then the highest number, since systems like to keep the lowest
// busy. Reads files below `root` ("" is the machine's own).
std::vector<int> OrderCores(const std::string& root, std::vector<int> cpus);

// Gives each thread that this process has now a core of its own; nothing when there are too few.
// Where other work has the machine, two threads of a kernel may else find themselves on one core
// for long, and wait for each other.
void SpreadThreads();

class MeasuringCore {
 public:
  // Claims the first of `cpus` that is nobody's. `machine` tells apart those who must not meet: one
  // name for all workers of a machine.
  static MeasuringCore Claim(const std::string& machine, const std::vector<int>& cpus);
  // The best of the cores that this process may use, if it has several.
  static MeasuringCore ClaimForThisProcess();

  MeasuringCore() = default;  // no core
  MeasuringCore(MeasuringCore&& other) noexcept;
  MeasuringCore& operator=(MeasuringCore&& other) noexcept;
  ~MeasuringCore();  // gives the core back

  int cpu() const { return cpu_; }  // -1: none
  // Moves the calling thread, and threads and processes that it starts from now on, to the core;
  // Leave lets them go where the thread could go before the claim.
  void Enter() const;
  void Leave() const;

 private:
  int cpu_ = -1;
  int claim_ = -1;  // a socket whose name is the claim
  std::vector<int> cpus_;
};

}  // namespace hone
