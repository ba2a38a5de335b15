/* Steps that each wait for the one before: a time that depends on the core's clock alone. */
#ifndef HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_PACED_H_
#define HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_PACED_H_

#include "agent_kernel.h"

static void Pace(int64_t steps) {
  uint64_t x = 1;
  for (int64_t i = 0; i < steps; ++i) {
    x = x * 3 + 1;
    __asm__ volatile("" : "+r"(x));
  }
}

#endif /* HONE_TESTS_DEVICE_AGENT_KERNELS_AGENT_PACED_H_ */
