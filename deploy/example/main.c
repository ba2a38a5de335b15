/* Runs the model that is linked in once, on zeros, and says what came out. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tiny.h"

int main(void) {
  hone_error error;
  hone_model* model = tiny_load(NULL, &error);
  if (model == NULL) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  hone_tensor_info input, output;
  hone_model_input_info(model, 0, &input, &error);
  hone_model_output_info(model, 0, &output, &error);
  void* zeros = calloc(1, (size_t)input.bytes);
  if (hone_model_set_input(model, 0, zeros, input.bytes, &error) != HONE_OK ||
      hone_model_run(model, &error) != HONE_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  const float* scores = hone_model_output(model, 0);
  printf("%s: %s -> %s, %lld numbers, the first %g\n", hone_model_name(model), input.name,
         output.name, (long long)(output.bytes / (int64_t)sizeof(float)), scores[0]);
  free(zeros);
  hone_model_free(model);
  return 0;
}
