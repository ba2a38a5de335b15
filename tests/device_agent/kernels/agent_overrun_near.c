#include "agent_kernel.h"

/* Writes just past the end of its output. */
int32_t hone_run(const hone_kernel_args* args) {
  Compute(args);
  ((volatile char*)(Y(args) + args->params[0]))[1] = 1;
  return 0;
}
