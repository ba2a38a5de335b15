#include "agent_kernel.h"

/* Leaves the last element as it was. */
int32_t hone_run(const hone_kernel_args* args) {
  const float before = Y(args)[args->params[0] - 1];
  Compute(args);
  Y(args)[args->params[0] - 1] = before;
  return 0;
}
