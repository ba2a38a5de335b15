// KernelProblem: one line of bench/kernels/*.txt, as a workload for us and as plain numbers for the
// peers. Used by compare_kernels; the format is described in kernels/README.md.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "bench/peers/kernel_peer.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"

namespace hone {

struct KernelProblem {
  std::string list;  // name of its file, without the extension
  std::string name;  // its line
  hone_peer_problem numbers = {};
  int count = 1;
};

// All problems of a file. InvalidArgument names file and line.
StatusOr<std::vector<KernelProblem>> ReadProblems(const std::string& path);

Workload WorkloadOf(const KernelProblem& problem);

// One a buffer: images in blocks of as many channels as suit the target, where these divide; all
// else as it is.
std::vector<Layout> LayoutsOf(const KernelProblem& problem, const Workload& workload,
                              const Target& target);

}  // namespace hone
