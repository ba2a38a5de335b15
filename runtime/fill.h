/* Fills buffers with test data that depends on nothing but the arguments: the same bytes on every
 * machine, so that the two ends of a network agree on a kernel's inputs by a seed alone. */
#ifndef HONE_RUNTIME_FILL_H_
#define HONE_RUNTIME_FILL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `count` elements. Floats: roughly N(0,1), within 3.47 of 0 (the sum of four uniform
 * values). Signed integers: -8 to 8. Unsigned: 0 to 15. bool: 0 or 1. `buffer_index` tells the
 * buffers of one kernel apart. Returns 0, or -1 (nothing written) when `dtype` is no element type.
 */
int hone_fill(void* data, int64_t count, const char* dtype, uint64_t seed, uint32_t buffer_index);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_FILL_H_ */
