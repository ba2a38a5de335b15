#include "agent_kernel.h"

/* Right. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  return 0;
}
