#include "agent_kernel.h"

/* Right only the first time: counts its runs in the scratch. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  if (++*(volatile int32_t*)args->scratch > 1) Y(args)[3] = 7;
  return 0;
}
