#include "agent_kernel.h"

/* Writes to nowhere. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  *(volatile float*)16 = 1;
  return 0;
}
