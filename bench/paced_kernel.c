/* A kernel that computes from registers only, for params[0] turns: what it takes depends on the
 * core and on nothing else. */
#include "runtime/kernel.h"

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args);

int32_t hone_run(const hone_kernel_args* args) {
  const float* x = (const float*)args->buffers[0];
  float* y = (float*)args->buffers[1];
  float value = x[0];
  for (int64_t i = 0; i < args->params[0]; ++i) {
    value = value * 0.5f + 1.0f;
    __asm__ volatile(""); /* or the loop could be shortened */
  }
  y[0] = value;
  return 0;
}
