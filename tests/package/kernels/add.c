/* c[4,8] = a[4,8] + b[4,8], through scratch, to see that it is there. Buffers: a, b, c. */
#include "runtime/kernel.h"

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args) {
  const float* a = args->buffers[0];
  const float* b = args->buffers[1];
  float* c = args->buffers[2];
  float* scratch = args->scratch;
  for (int64_t i = 0; i < 32; ++i) scratch[i] = a[i] + b[i];
  for (int64_t i = 0; i < 32; ++i) c[i] = scratch[i];
  return 0;
}
