#include "agent_kernel.h"

static void Part(const void* context, int64_t begin, int64_t end, int64_t worker) {
  const hone_kernel_args* args = context;
  (void)worker;
  for (int64_t i = begin; i < end; ++i) Y(args)[i] = X(args)[i] * PACKED(args)[i] + 1;
}

/* Right, by the host's threads. */
int32_t hone_run(const hone_kernel_args* args) {
  args->host->parallel_for(args->host, args->params[0], Part, args);
  return 0;
}
