// Who else had the machine while this process measured: time its threads waited for a core that
// other work had, time the hypervisor took from the cores, and whether heat or power throttled
// them. Read by the worker's timer around each visit; decides nothing. What a system does not tell
// counts as none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone {

// Counters that only rise; of interest are differences of two readings.
struct Interference {
  int64_t waited_ns = 0;  // all threads, ready to run
  int64_t stolen_ns = 0;  // all cores watched; in steps of 10 ms
  int64_t throttled = 0;  // times
};

class InterferenceMeter {
 public:
  // Watches the threads that this process has now, and `cpus`. Reads files below `root` ("" is the
  // machine's own).
  InterferenceMeter(const std::string& root, const std::vector<int>& cpus);
  ~InterferenceMeter();
  InterferenceMeter(const InterferenceMeter&) = delete;
  InterferenceMeter& operator=(const InterferenceMeter&) = delete;

  // A few microseconds. `now_ns` is any monotonic clock: what moves slowly is read anew only after
  // a while.
  Interference Read(int64_t now_ns);

 private:
  int64_t ReadStolenNs() const;

  std::vector<int> thread_files_;    // .../schedstat of each thread
  std::vector<int> throttle_files_;  // of each core that has one
  int stat_file_ = -1;
  std::vector<int> cpus_;
  int64_t stolen_read_ns_ = -1;  // when; -1: never
  int64_t stolen_ns_ = 0;
};

}  // namespace hone
