// The logical processors that the calling thread may run on. Asked by whoever describes the machine
// or places threads; moves nothing.
#pragma once

#include <vector>

namespace hone {

// Their numbers, ascending; none where the system does not say.
std::vector<int> AllowedCpus();

}  // namespace hone
