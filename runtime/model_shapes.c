#include "runtime/model_shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/dtype.h"

static int64_t SizeNow(const hone_model_shapes* shapes, const hone_model_size* size) {
  if (size->scale == 0) return size->top;
  return size->top -
         size->scale * (shapes->image->params[size->param].max - shapes->params[size->param]);
}

static void UpdateShape(const hone_model_shapes* shapes, const hone_model_tensor* tensor,
                        hone_model_shape* shape) {
  shape->changed = false;
  shape->bytes = hone_dtype_bytes(tensor->dtype);
  for (uint32_t d = 0; d < tensor->rank; ++d) {
    const int64_t extent = SizeNow(shapes, &tensor->shape[d]);
    shape->changed |= extent != shape->extents[d];
    shape->extents[d] = extent;
    shape->bytes *= extent;
  }
}

/* Brings everything up to the present values of the parameters. */
static void Update(hone_model_shapes* shapes) {
  const hone_model_image* image = shapes->image;
  for (uint64_t i = 0; i < image->header->sizes.count; ++i) {
    shapes->sizes[i] = SizeNow(shapes, &image->sizes[i]);
  }
  for (uint64_t i = 0; i < image->header->inputs.count; ++i) {
    UpdateShape(shapes, &image->inputs[i], &shapes->inputs[i]);
  }
  for (uint64_t i = 0; i < image->header->outputs.count; ++i) {
    UpdateShape(shapes, &image->outputs[i], &shapes->outputs[i]);
  }
}

/* Never null for a count of 0. */
static void* Allocate(uint64_t count, size_t bytes) { return calloc(count + 1, bytes); }

hone_error_code hone_model_shapes_create(hone_model_shapes* shapes, const hone_model_image* image,
                                         hone_error* error) {
  const hone_model_header* header = image->header;
  shapes->image = image;
  shapes->params = Allocate(header->params.count, sizeof(*shapes->params));
  shapes->next_params = Allocate(header->params.count, sizeof(*shapes->next_params));
  shapes->sizes = Allocate(header->sizes.count, sizeof(*shapes->sizes));
  shapes->inputs = Allocate(header->inputs.count, sizeof(*shapes->inputs));
  shapes->outputs = Allocate(header->outputs.count, sizeof(*shapes->outputs));
  if (shapes->params == NULL || shapes->next_params == NULL || shapes->sizes == NULL ||
      shapes->inputs == NULL || shapes->outputs == NULL) {
    return hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for shapes");
  }
  for (uint64_t i = 0; i < header->params.count; ++i) shapes->params[i] = image->params[i].max;
  Update(shapes);
  return HONE_OK;
}

void hone_model_shapes_free(hone_model_shapes* shapes) {
  free(shapes->params);
  free(shapes->next_params);
  free(shapes->sizes);
  free(shapes->inputs);
  free(shapes->outputs);
}

/* "[1..8,32]": all shapes that an input may have. Cut at `size`. */
static void DescribeShapes(const hone_model_shapes* shapes, const hone_model_tensor* tensor,
                           char* text, size_t size) {
  size_t used = 0;
  for (uint32_t d = 0; d < tensor->rank && used < size; ++d) {
    const hone_model_size* extent = &tensor->shape[d];
    const char* separator = d == 0 ? "[" : ",";
    if (extent->scale == 0) {
      used +=
          (size_t)snprintf(text + used, size - used, "%s%lld", separator, (long long)extent->top);
    } else {
      const hone_model_param* param = &shapes->image->params[extent->param];
      const int64_t least = extent->top - extent->scale * (param->max - param->min);
      used += (size_t)snprintf(text + used, size - used, "%s%lld..%lld", separator,
                               (long long)least, (long long)extent->top);
    }
  }
  if (used < size) snprintf(text + used, size - used, tensor->rank == 0 ? "[]" : "]");
}

/* Sets next_params to what `size` being `extent` says; false if it cannot be that. `known`: an
 * earlier dimension has said it. */
static bool SolveExtent(hone_model_shapes* shapes, const hone_model_size* size, int64_t extent,
                        bool known) {
  if (size->scale == 0) return extent == size->top;
  const hone_model_param* param = &shapes->image->params[size->param];
  if (extent > size->top || extent < 0 || (size->top - extent) % size->scale != 0) return false;
  const int64_t value = param->max - (size->top - extent) / size->scale;
  if (value < param->min || (known && value != shapes->next_params[size->param])) return false;
  shapes->next_params[size->param] = value;
  return true;
}

hone_error_code hone_model_shapes_set(hone_model_shapes* shapes, int index, const int64_t* shape,
                                      int rank, hone_error* error) {
  const hone_model_tensor* tensor = &shapes->image->inputs[index];
  const uint64_t param_count = shapes->image->header->params.count;
  memcpy(shapes->next_params, shapes->params, param_count * sizeof(*shapes->params));
  bool fits = rank >= 0 && (uint32_t)rank == tensor->rank;
  for (int d = 0; fits && d < rank; ++d) {
    bool known = false;
    for (int e = 0; e < d; ++e) {
      known |= tensor->shape[e].scale != 0 && tensor->shape[e].param == tensor->shape[d].param;
    }
    fits = SolveExtent(shapes, &tensor->shape[d], shape[d], known);
  }
  if (!fits) {
    char text[120];
    DescribeShapes(shapes, tensor, text, sizeof(text));
    return hone_fail(error, HONE_ERROR_ARGUMENT,
                     "'%.80s' has the shape %s; compile the model for others: hone compile --shape",
                     shapes->image->strings + tensor->name, text);
  }
  memcpy(shapes->params, shapes->next_params, param_count * sizeof(*shapes->params));
  Update(shapes);
  return HONE_OK;
}
