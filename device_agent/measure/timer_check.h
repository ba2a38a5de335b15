// Whether this machine's clock can be trusted to time kernels: its resolution, that it never goes
// back, and how far two cores disagree. Part of what an agent says of its devices; times nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace hone {

// "timer.source", "timer.resolution_ns" (the least step seen), "timer.read_ns" (cost of a reading),
// "timer.monotonic" and, of several cores, "timer.skew_ns" (how far a clock read on one core was
// ever behind one read before on another). Takes some milliseconds. Below `root` ("" is the
// machine's own) lies only the name of the source.
std::map<std::string, std::string> CheckTimer(const std::string& root,
                                              const std::vector<int>& cpus);

}  // namespace hone
