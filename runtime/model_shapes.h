/* The sizes of a loaded model that stay open until it runs: the values of its parameters, and the
 * shapes and kernels' parameters that follow from them. Used by the executor (model.c) alone; takes
 * memory when made and none later. */
#ifndef HONE_RUNTIME_MODEL_SHAPES_H_
#define HONE_RUNTIME_MODEL_SHAPES_H_

#include <stdbool.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/model_image.h"

/* What an input or output is at present. */
typedef struct hone_model_shape {
  int64_t extents[HONE_MODEL_RANK_MAX];
  int64_t bytes;
  bool changed; /* by the last hone_model_shapes_set */
} hone_model_shape;

typedef struct hone_model_shapes {
  const hone_model_image* image;
  int64_t* params;      /* the values at present */
  int64_t* next_params; /* for checking a shape before it is taken */
  int64_t* sizes;       /* of the image's table of sizes */
  hone_model_shape* inputs;
  hone_model_shape* outputs;
} hone_model_shapes;

/* All parameters stand at their tops. `image` must live as long. */
hone_error_code hone_model_shapes_create(hone_model_shapes* shapes, const hone_model_image* image,
                                         hone_error* error);
void hone_model_shapes_free(hone_model_shapes* shapes);

/* Gives input `index`, which exists, a shape, and all that shares its parameters theirs. On failure
 * nothing changes. */
hone_error_code hone_model_shapes_set(hone_model_shapes* shapes, int index, const int64_t* shape,
                                      int rank, hone_error* error);

#endif /* HONE_RUNTIME_MODEL_SHAPES_H_ */
