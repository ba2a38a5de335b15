/* A kernel as code generation would make it: y = a * x + y over params[0] elements, in parallel,
 * where a is a constant that prepare doubles. Buffers: x, a, y (output), prepared a. */
#include "runtime/kernel.h"

typedef struct Context {
  const float* x;
  const float* a;
  float* y;
} Context;

static void Body(const void* context, int64_t begin, int64_t end, int64_t worker) {
  const Context* c = context;
  for (int64_t i = begin; i < end; ++i) c->y[i] = c->a[0] * c->x[i];
}

__attribute__((visibility("default"))) int32_t hone_prepare(const hone_kernel_args* args) {
  ((float*)args->buffers[3])[0] = 2 * ((const float*)args->buffers[1])[0];
  return 0;
}

__attribute__((visibility("default"))) int32_t hone_run(const hone_kernel_args* args) {
  const Context context = {args->buffers[0], args->buffers[3], args->buffers[2]};
  args->host->parallel_for(args->host, args->params[0], Body, &context);
  return 0;
}
