#include "agent_paced.h"

/* Takes a fixed time. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  Pace(20000);
  return 0;
}
