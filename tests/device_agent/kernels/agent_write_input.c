#include "agent_kernel.h"

/* Writes to its input. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  *(volatile float*)X(args) = 1;
  return 0;
}
