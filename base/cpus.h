// The logical processors that the calling thread may run on. Asked by whoever describes the machine
// or starts programs on some of them; chooses none.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// Their numbers, ascending; none where the system does not say.
std::vector<int> AllowedCpus();

// "0-3,6" as Linux writes it: ascending, each once. InvalidArgument for anything else.
StatusOr<std::vector<int>> ParseCpuList(absl::string_view text);
std::string CpuListText(const std::vector<int>& cpus);

// Confines the calling thread, and what it starts meanwhile, to some processors; back to where it
// could run before when it ends. Nothing happens for an empty list, or where the system refuses.
class ScopedCpus {
 public:
  explicit ScopedCpus(const std::vector<int>& cpus);
  ~ScopedCpus();
  ScopedCpus(const ScopedCpus&) = delete;
  ScopedCpus& operator=(const ScopedCpus&) = delete;

 private:
  std::vector<int> before_;  // empty: nothing to undo
};

}  // namespace hone
