#include "agent_kernel.h"

/* An instruction that is none. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  __builtin_trap();
  return 0;
}
