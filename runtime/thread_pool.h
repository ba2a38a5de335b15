/* The host's threads: a fixed set of workers behind the parallel_for that kernels call. The model
 * executor and the agent's worker own one each. It allocates nothing after creation. */
#ifndef HONE_RUNTIME_THREAD_POOL_H_
#define HONE_RUNTIME_THREAD_POOL_H_

#include "runtime/error.h"
#include "runtime/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_POOL_THREADS_MAX 1024

typedef struct hone_pool hone_pool;

/* `threads` counts the caller: threads - 1 are started. Null (and `error`) on failure. */
hone_pool* hone_pool_create(int threads, hone_error* error);

/* What kernels get as `host`. Its parallel_for gives every worker one contiguous part of the
 * iterations and lets those that finish early help the others. It is called by one thread at a
 * time, never from inside a body. With one thread it is a plain call of the body. */
const hone_host* hone_pool_host(const hone_pool* pool);

/* From the next job on, every worker has the tile registers of tile_state.h; the calling thread has
 * them now. HONE_ERROR_UNSUPPORTED where there are none. */
hone_error_code hone_pool_use_tiles(hone_pool* pool, hone_error* error);

/* Stops and joins the workers. Null is fine. */
void hone_pool_destroy(hone_pool* pool);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_THREAD_POOL_H_ */
