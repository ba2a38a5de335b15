/* The kernel that the tests of the agent are about, y[i] = x[i] * packed[i] + 1 with packed = 2 *
 * w, of params[0] elements; the files beside it break it, each in one way. */
#ifndef HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_KERNEL_H_
#define HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_KERNEL_H_

#include "runtime/kernel.h"

#define EXPORT __attribute__((visibility("default")))

#define X(args) ((const float*)(args)->buffers[0])
#define W(args) ((const float*)(args)->buffers[1])
#define PACKED(args) ((float*)(args)->buffers[2])
#define Y(args) ((float*)(args)->buffers[3])

EXPORT int32_t hone_prepare(const hone_kernel_args* args) {
  for (int64_t i = 0; i < args->params[0]; ++i) PACKED(args)[i] = 2 * W(args)[i];
  return 0;
}

static void Compute(const hone_kernel_args* args) {
  for (int64_t i = 0; i < args->params[0]; ++i) Y(args)[i] = X(args)[i] * PACKED(args)[i] + 1;
}

EXPORT int32_t hone_run(const hone_kernel_args* args);

#endif /* HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_KERNEL_H_ */
