/* The C API of compiled models: load one, ask what it takes and gives, set inputs, run, get
 * outputs. An application needs this header, error.h, the runtime library and libc.
 *
 *   hone_error error;
 *   hone_model* model = hone_model_load("model.so", NULL, &error);
 *   if (model == NULL) { puts(error.message); return 1; }
 *   hone_model_set_input(model, 0, pixels, sizeof(pixels), &error);
 *   hone_model_run(model, &error);
 *   const float* scores = hone_model_output(model, 0);
 *   hone_model_free(model);
 *
 * A model is used by one thread at a time; different models are independent. All memory is taken
 * when loading, none while running. */
#ifndef HONE_RUNTIME_HONE_H_
#define HONE_RUNTIME_HONE_H_

#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_model hone_model;

/* Zero-initialise, then set what matters. */
typedef struct hone_model_options {
  int threads; /* 0: as many as the model was tuned for, but no more than the machine has */
  int profile; /* not 0: take the time of every step; see hone_model_step */
  /* Not 0: only to ask what it is, takes and gives, also where it cannot run: no code is loaded,
   * and inputs have shapes but no values. */
  int describe;
} hone_model_options;

/* An input or output, of the shape that it has at present; pointers live as long as the model. */
typedef struct hone_tensor_info {
  const char* name;
  const char* dtype; /* "f32", "f16", "i64", ... */
  int rank;
  const int64_t* shape; /* `rank` extents; data is dense and row-major */
  int64_t bytes;
} hone_tensor_info;

/* One step of the model: a kernel call or a copy. */
typedef struct hone_step_info {
  const char* node;       /* the nodes of the model that it computes */
  const char* kernel;     /* "copy" for a copy */
  double flop_count;      /* 0 for a copy; of the largest shapes */
  int64_t argument_bytes; /* that it reads and writes at least */
  int64_t last_ns;        /* time in the last run; 0 without profiling */
} hone_step_info;

/* Maps the file that `hone compile` wrote. `options` may be null. Null (and `error`) on failure,
 * which includes a model made for a CPU that can more than this one. */
hone_model* hone_model_load(const char* path, const hone_model_options* options, hone_error* error);

/* The same from the bytes of such a file, aligned to 64, which must stay as long as the model
 * lives.
 */
hone_model* hone_model_load_bytes(const void* bytes, uint64_t count,
                                  const hone_model_options* options, hone_error* error);

/* The same for a model that is linked in or came by dlopen: `symbol` is the address of its symbol
 * hone_model_v1, which must stay mapped as long as the model lives. */
hone_model* hone_model_load_symbol(const void* symbol, const hone_model_options* options,
                                   hone_error* error);

void hone_model_free(hone_model* model);

const char* hone_model_name(const hone_model* model);
const char* hone_model_target(const hone_model* model); /* what it was compiled for */
/* What of that CPU its code uses, with commas: "avx2,fma". */
const char* hone_model_cpu_features(const hone_model* model);
int hone_model_threads(const hone_model* model);

int hone_model_input_count(const hone_model* model);
int hone_model_output_count(const hone_model* model);
hone_error_code hone_model_input_info(const hone_model* model, int index, hone_tensor_info* info,
                                      hone_error* error);
hone_error_code hone_model_output_info(const hone_model* model, int index, hone_tensor_info* info,
                                       hone_error* error);

/* For a model compiled for a range of sizes: from now on the input has this shape, and whatever
 * other inputs and outputs share of it follows. Inputs whose shape changed must be set again. A
 * model begins with the largest shapes. */
hone_error_code hone_model_set_input_shape(hone_model* model, int index, const int64_t* shape,
                                           int rank, hone_error* error);

/* Copies `bytes` bytes, which must be the input's size, into the model. Stays set until replaced.
 */
hone_error_code hone_model_set_input(hone_model* model, int index, const void* data, int64_t bytes,
                                     hone_error* error);
/* The same without copying: `data`, aligned to 64 bytes, is read by every run until replaced. */
hone_error_code hone_model_borrow_input(hone_model* model, int index, const void* data,
                                        int64_t bytes, hone_error* error);

/* Computes all outputs. An error if an input was never set. */
hone_error_code hone_model_run(hone_model* model, hone_error* error);

/* The output of the last run, aligned to 64 bytes, valid until the next run or the model's end.
 * Null if there is no such output. */
const void* hone_model_output(const hone_model* model, int index);
/* Copies an output; `bytes` must be its size. */
hone_error_code hone_model_get_output(const hone_model* model, int index, void* data, int64_t bytes,
                                      hone_error* error);

int hone_model_step_count(const hone_model* model);
hone_error_code hone_model_step(const hone_model* model, int index, hone_step_info* info,
                                hone_error* error);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_HONE_H_ */
