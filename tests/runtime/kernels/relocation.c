/* Breaks a rule of kernel.h: a constant table of addresses needs dynamic relocations. */
#include "runtime/kernel.h"

static const int32_t kOne = 1, kTwo = 2;
/* Exported, or compilers turn it into a table of distances. */
__attribute__((visibility("default"))) extern const int32_t* const kTable[];
const int32_t* const kTable[] = {&kOne, &kTwo, &kOne};

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args) {
  return *kTable[args->params[0]];
}
