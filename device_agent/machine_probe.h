// What this machine is: the Target that code for it is made for, in LLVM's names but without LLVM,
// and the facts that are kept beside every measurement. Read once by hone-agent at start, from
// the CPU, /proc and /sys; runs nothing and changes nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/target.h"

namespace hone {

struct Machine {
  Target target;                             // threads is 1
  std::map<std::string, std::string> facts;  // "os", "kernel", "model", "governor", "virtual", ...
};

// Reads the files below `root` ("" is the machine's own; tests bring others). `arch` as `uname -m`
// says it, `features` as runtime/cpu_features.h does, `cpus` are the numbers of the logical
// processors that we may run on.
Machine ProbeMachine(const std::string& root, const std::string& arch,
                     std::vector<std::string> features, const std::vector<int>& cpus);

// This machine, as this process may use it: `cpus` of it, all that it may if there are none; below
// `root`.
Machine ProbeThisMachine(const std::string& root = "", std::vector<int> cpus = {});

// LLVM's name of the core ("znver3"), or the best generic one that `features` allow
// ("x86-64-v3"). `cpuinfo` holds the fields of one processor in /proc/cpuinfo.
std::string LlvmCpu(absl::string_view arch, const std::map<std::string, std::string>& cpuinfo,
                    const std::vector<std::string>& features);

}  // namespace hone
