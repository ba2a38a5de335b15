/* A compiled model's bytes, mapped and checked: after opening, every offset, name and operand in
 * it may be used without further checks. Used by the executor (model.c) alone. */
#ifndef HONE_RUNTIME_MODEL_IMAGE_H_
#define HONE_RUNTIME_MODEL_IMAGE_H_

#include <stddef.h>

#include "runtime/error.h"
#include "runtime/model_format.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_model_image {
  const hone_model_header* header;
  const hone_model_tensor* inputs;
  const hone_model_tensor* outputs;
  const hone_model_kernel* kernels;
  const hone_model_instruction* instructions;
  const hone_model_operand* operands;
  const hone_model_param* params;
  const hone_model_size* sizes;
  const char* strings;
  void* mapping; /* null when the bytes are someone else's */
  size_t mapping_bytes;
} hone_model_image;

/* Maps a file made by `hone compile`. */
hone_error_code hone_model_image_open(hone_model_image* image, const char* path, hone_error* error);
/* Uses the bytes of such a file, aligned to HONE_ALIGNMENT, where they are. */
hone_error_code hone_model_image_read(hone_model_image* image, const void* bytes, uint64_t count,
                                      hone_error* error);
/* Uses bytes that are mapped already; believes the header's total_bytes. */
hone_error_code hone_model_image_use(hone_model_image* image, const void* header,
                                     hone_error* error);
void hone_model_image_close(hone_model_image* image);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_MODEL_IMAGE_H_ */
