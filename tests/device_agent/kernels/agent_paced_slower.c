#include "agent_paced.h"

/* Takes two hundredths more than agent_paced. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  Pace(20440);
  return 0;
}
