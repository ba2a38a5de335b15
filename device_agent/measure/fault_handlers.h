// Signal handlers of a process that runs kernels: they note on its watch page how it comes to its
// end, for whoever watches from outside (kernel_process.h). They change nothing of that end.
#pragma once

#include "device_agent/measure/watch_page.h"

namespace hone {

// Once a process, in its only thread so far. `page` must stay.
void InstallFaultHandlers(WatchPage& page);

}  // namespace hone
