/* The kernel ABI: what a compiled kernel and whoever calls it agree on, on every CPU. Code
 * generation emits it, the agent's worker and the model executor call it. Plain C, no library.
 *
 * A kernel is a shared object without undefined symbols, dynamic relocations or writable data. It
 * exports `hone_run` and, if anything depends on constants alone, `hone_prepare`, both
 * hone_kernel_fn. What each buffer means is in the kernel's manifest (proto/artifact.proto). */
#ifndef HONE_RUNTIME_KERNEL_H_
#define HONE_RUNTIME_KERNEL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every buffer and the scratch are aligned to this many bytes. */
#define HONE_ALIGNMENT 64

/* One iteration range of a parallel loop: iterations [begin, end), on worker `worker`, which is
 * less than the host's thread count and selects the worker's slice of scratch. */
typedef void (*hone_parallel_body)(const void* context, int64_t begin, int64_t end, int64_t worker);

/* What the host lends to a kernel. */
typedef struct hone_host {
  /* Runs body over [0, count), split between workers; returns when all is done. Never null. */
  void (*parallel_for)(const struct hone_host* host, int64_t count, hone_parallel_body body,
                       const void* context);
  int64_t thread_count; /* at least 1; worker numbers are below it */
} hone_host;

typedef struct hone_kernel_args {
  void* const* buffers;  /* in the order of the manifest */
  const int64_t* params; /* in the order of the manifest */
  void* scratch;         /* manifest.scratch_shared_bytes + thread_count * scratch_worker_bytes */
  const hone_host* host;
} hone_kernel_args;

/* 0 on success. Kernels have no failures of their own today; the value is for the future. */
typedef int32_t (*hone_kernel_fn)(const hone_kernel_args* args);

#define HONE_RUN_SYMBOL "hone_run"
#define HONE_PREPARE_SYMBOL "hone_prepare"

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_KERNEL_H_ */
