/* Writes where nothing is. */
#include "runtime/kernel.h"

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args) {
  (void)args;
  *(volatile int*)64 = 1;
  return 0;
}
