/* The tile registers of a matrix unit (AMX): a kernel whose manifest asks for them finds 8 tiles of
 * 16 rows of 64 bytes. The system grants their use once a process; each thread is set up once. The
 * thread pool and those who call kernels use this, kernels never do. */
#ifndef HONE_RUNTIME_TILE_STATE_H_
#define HONE_RUNTIME_TILE_STATE_H_

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Asks the system for the process; more than once is fine. HONE_ERROR_UNSUPPORTED where the CPU has
 * no tiles or the system does not grant them. */
hone_error_code hone_tiles_permit(hone_error* error);

/* Sets up the calling thread, after hone_tiles_permit said HONE_OK. */
void hone_tiles_configure(void);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_TILE_STATE_H_ */
