/* How fast one core multiplies and adds right now: the limit that kernels are held against, and
 * the gauge by which the agent's worker notices that the clock wanders or that a neighbour is on
 * the core. Plain C with one loop for each vector extension; never the time of a kernel. */
#ifndef HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_
#define HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* fp32 multiply-add rate of the calling core in GFLOP/s (a multiply-add counts two): the faster of
 * two loops of some 10 us each. */
double hone_fma_gflops(void);

/* The same of bf16 tiles on the core's matrix unit, over some 10 us. The calling thread has the
 * tiles of tile_state.h, whose contents are lost. 0 where this build knows of no such unit. */
double hone_tile_gflops(void);

/* Whether nothing holds the matrix unit back at the clock that `fma_gflops` was measured at: a
 * product of tiles takes 16 cycles, a multiply-add of vectors half a cycle. */
bool hone_tile_is_fast(double tile_gflops, double fma_gflops);

/* Keeps the matrix unit at work until it is fast, for `most_ns` at most: a core takes some 100 us
 * to raise its power for it, and runs it at a third of its speed till then. */
void hone_tile_warm_up(int64_t most_ns);

#ifdef __cplusplus
}
#endif

#endif /* HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_ */
