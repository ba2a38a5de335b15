/* How fast one core multiplies and adds right now: the limit that kernels are held against, and
 * the gauge by which the agent's worker notices that the clock wanders or that a neighbour is on
 * the core. Plain C with one loop for each vector extension; never the time of a kernel. */
#ifndef HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_
#define HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_

#ifdef __cplusplus
extern "C" {
#endif

/* fp32 multiply-add rate of the calling core in GFLOP/s (a multiply-add counts two): the faster of
 * two loops of some 10 us each. */
double hone_fma_gflops(void);

#ifdef __cplusplus
}
#endif

#endif /* HONE_DEVICE_AGENT_MEASURE_CALIBRATION_H_ */
