#include "runtime/thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tile_state.h"

/* One job at a time. The caller publishes it by raising `generation`; every worker works on it and
 * then lowers `unfinished`; the caller works as worker 0 and returns when `unfinished` is 0, so no
 * worker ever sees a job that is being replaced. Waiting spins first, because the kernels of a
 * model follow each other within microseconds, then sleeps.
 *
 * The iterations are cut into one contiguous range a worker. A worker takes its own range in a few
 * chunks, and then chunks of other ranges: equal cores stay on their own part, and a slow or
 * descheduled one loses only its rest. */

enum { kCacheLine = 64, kChunksPerRange = 8, kSpins = 4000 };

typedef struct Range {
  _Alignas(kCacheLine) _Atomic int64_t next;
  int64_t end;
  int64_t chunk;
} Range;

struct hone_pool {
  hone_host host; /* first, so that a host pointer is a pool pointer */
  int thread_count;
  int started; /* threads to join */

  bool uses_tiles; /* read by workers when they take a job */

  hone_parallel_body body;
  const void* context;

  _Alignas(kCacheLine) _Atomic uint64_t generation;
  _Atomic bool stopping;
  _Alignas(kCacheLine) _Atomic int unfinished;

  pthread_mutex_t mutex;
  pthread_cond_t work_ready; /* generation or stopping changed */
  pthread_cond_t work_done;  /* unfinished became 0 */
  _Atomic int sleeping_workers;
  _Atomic bool caller_sleeps;

  Range* ranges;      /* one a worker */
  pthread_t* threads; /* of workers 1 .. thread_count - 1 */
  struct Worker* workers;
};

typedef struct Worker {
  hone_pool* pool;
  int index;
} Worker;

static void Pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

static void WorkOn(hone_pool* pool, int worker) {
  for (int i = 0; i < pool->thread_count; ++i) {
    int owner = worker + i;
    if (owner >= pool->thread_count) owner -= pool->thread_count;
    Range* range = &pool->ranges[owner];
    for (;;) {
      /* Looking first keeps finished ranges from being written by everyone. */
      if (atomic_load_explicit(&range->next, memory_order_relaxed) >= range->end) break;
      int64_t begin = atomic_fetch_add_explicit(&range->next, range->chunk, memory_order_relaxed);
      if (begin >= range->end) break;
      int64_t end = begin + range->chunk < range->end ? begin + range->chunk : range->end;
      pool->body(pool->context, begin, end, worker);
    }
  }
}

static void WaitForWork(hone_pool* pool, uint64_t seen) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (atomic_load(&pool->generation) != seen || atomic_load(&pool->stopping)) return;
    Pause();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleeping_workers, 1);
  while (atomic_load(&pool->generation) == seen && !atomic_load(&pool->stopping)) {
    pthread_cond_wait(&pool->work_ready, &pool->mutex);
  }
  atomic_fetch_sub(&pool->sleeping_workers, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void* RunWorker(void* argument) {
  const Worker* worker = argument;
  hone_pool* pool = worker->pool;
  uint64_t seen = 0;
  bool has_tiles = false;
  for (;;) {
    WaitForWork(pool, seen);
    if (atomic_load(&pool->stopping)) return NULL;
    ++seen;
    if (pool->uses_tiles && !has_tiles) {
      hone_tiles_configure();
      has_tiles = true;
    }
    WorkOn(pool, worker->index);
    if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
      pthread_mutex_lock(&pool->mutex);
      pthread_cond_signal(&pool->work_done);
      pthread_mutex_unlock(&pool->mutex);
    }
  }
}

static void WaitUntilDone(hone_pool* pool) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (atomic_load(&pool->unfinished) == 0) return;
    Pause();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->caller_sleeps, true);
  while (atomic_load(&pool->unfinished) != 0) pthread_cond_wait(&pool->work_done, &pool->mutex);
  atomic_store(&pool->caller_sleeps, false);
  pthread_mutex_unlock(&pool->mutex);
}

static void RunAlone(const hone_host* host, int64_t count, hone_parallel_body body,
                     const void* context) {
  (void)host;
  if (count > 0) body(context, 0, count, 0);
}

static void RunShared(const hone_host* host, int64_t count, hone_parallel_body body,
                      const void* context) {
  hone_pool* pool = (hone_pool*)host;
  if (count <= 1) {
    RunAlone(host, count, body, context);
    return;
  }
  const int64_t base = count / pool->thread_count;
  const int64_t extra = count % pool->thread_count;
  int64_t begin = 0;
  for (int i = 0; i < pool->thread_count; ++i) {
    int64_t length = base + (i < extra);
    Range* range = &pool->ranges[i];
    atomic_store_explicit(&range->next, begin, memory_order_relaxed);
    range->end = begin + length;
    range->chunk = length > kChunksPerRange ? length / kChunksPerRange : 1;
    begin += length;
  }
  pool->body = body;
  pool->context = context;
  atomic_store(&pool->unfinished, pool->thread_count - 1);
  atomic_fetch_add(&pool->generation, 1);
  if (atomic_load(&pool->sleeping_workers) > 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
  }
  WorkOn(pool, 0);
  WaitUntilDone(pool);
}

static void* AllocateAligned(size_t bytes) {
  void* memory = NULL;
  return posix_memalign(&memory, kCacheLine, bytes) == 0 ? memset(memory, 0, bytes) : NULL;
}

hone_pool* hone_pool_create(int threads, hone_error* error) {
  if (threads < 1 || threads > HONE_POOL_THREADS_MAX) {
    hone_fail(error, HONE_ERROR_ARGUMENT, "a pool of %d threads: ask for 1 to %d", threads,
              HONE_POOL_THREADS_MAX);
    return NULL;
  }
  hone_pool* pool = AllocateAligned(sizeof(hone_pool));
  if (pool == NULL) {
    hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for a thread pool");
    return NULL;
  }
  pool->host.parallel_for = threads == 1 ? RunAlone : RunShared;
  pool->host.thread_count = threads;
  pool->thread_count = threads;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->work_ready, NULL);
  pthread_cond_init(&pool->work_done, NULL);
  pool->ranges = AllocateAligned((size_t)threads * sizeof(Range));
  pool->threads = AllocateAligned((size_t)threads * sizeof(pthread_t));
  pool->workers = AllocateAligned((size_t)threads * sizeof(Worker));
  if (pool->ranges == NULL || pool->threads == NULL || pool->workers == NULL) {
    hone_pool_destroy(pool);
    hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for a pool of %d threads", threads);
    return NULL;
  }
  for (int i = 1; i < threads; ++i) {
    pool->workers[i] = (Worker){.pool = pool, .index = i};
    if (pthread_create(&pool->threads[pool->started], NULL, RunWorker, &pool->workers[i]) != 0) {
      hone_pool_destroy(pool);
      hone_fail(
          error, HONE_ERROR_NO_MEMORY,
          "cannot start thread %d of %d: ask for fewer threads, or raise the limit (ulimit -u)",
          i + 1, threads);
      return NULL;
    }
    ++pool->started;
  }
  return pool;
}

const hone_host* hone_pool_host(const hone_pool* pool) { return &pool->host; }

hone_error_code hone_pool_use_tiles(hone_pool* pool, hone_error* error) {
  const hone_error_code code = hone_tiles_permit(error);
  if (code != HONE_OK) return code;
  hone_tiles_configure();
  pool->uses_tiles = true;
  return HONE_OK;
}

void hone_pool_destroy(hone_pool* pool) {
  if (pool == NULL) return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->stopping, true);
  pthread_cond_broadcast(&pool->work_ready);
  pthread_mutex_unlock(&pool->mutex);
  for (int i = 0; i < pool->started; ++i) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->work_done);
  pthread_cond_destroy(&pool->work_ready);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->workers);
  free(pool->threads);
  free(pool->ranges);
  free(pool);
}
