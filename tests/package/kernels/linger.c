/* c[4,8] = a[4,8] + b[4,8], after a[0] times a million turns of a loop. Buffers: a, b, c. */
#include "runtime/kernel.h"

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args) {
  const float* a = args->buffers[0];
  const float* b = args->buffers[1];
  float* c = args->buffers[2];
  for (volatile int64_t i = (int64_t)a[0] * 1000000; i > 0; --i) {
  }
  for (int64_t i = 0; i < 32; ++i) c[i] = a[i] + b[i];
  return 0;
}
