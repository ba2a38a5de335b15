#define _GNU_SOURCE /* MADV_HUGEPAGE */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cpu_features.h"
#include "runtime/elf_loader.h"
#include "runtime/hone.h"
#include "runtime/kernel.h"
#include "runtime/model_image.h"
#include "runtime/model_shapes.h"
#include "runtime/thread_pool.h"
#include "runtime/tile_state.h"

/* Loading does all the work that running can be spared: code is loaded, memory is taken, and each
 * instruction becomes a Step whose pointers are final. Only a borrowed input moves pointers later.
 * Memory is for the tops of all parameters; a new shape of an input changes sizes alone.
 */

typedef struct Step {
  hone_kernel_fn run; /* null: a copy */
  hone_kernel_args args;
  size_t copy_bytes;
  int64_t last_ns;
} Step;

struct hone_model {
  hone_model_image image;
  hone_pool* pool;
  hone_elf** code; /* one a kernel */
  void* arena;     /* arena, scratch, inputs and outputs, in one piece */
  char* scratch;
  char** inputs; /* the model's own memory of each input */
  char** outputs;
  bool* input_set;
  hone_model_shapes shapes;
  void** buffers; /* one an operand of the program */
  Step* steps;
  bool profile;
  bool uses_tiles; /* of a matrix unit, by some kernel */
};

static uint64_t AlignUp(uint64_t bytes) {
  return (bytes + HONE_ALIGNMENT - 1) / HONE_ALIGNMENT * HONE_ALIGNMENT;
}

static const char* Name(const hone_model* model, uint32_t name) {
  return model->image.strings + name;
}

static const hone_model_header* Header(const hone_model* model) { return model->image.header; }

#define LARGE_PAGE_BYTES ((size_t)2 << 20)

/* Never null for a count of 0. */
static void* Allocate(uint64_t count, size_t bytes) { return calloc(count + 1, bytes); }

static hone_error_code StartThreads(hone_model* model, int threads, hone_error* error) {
  if (threads < 0) {
    return hone_fail(error, HONE_ERROR_ARGUMENT, "%d threads: ask for 1 or more", threads);
  }
  if (threads == 0) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    threads = (int)Header(model)->thread_count;
    if (online > 0 && threads > online) threads = (int)online;
    if (threads < 1) threads = 1;
  }
  model->pool = hone_pool_create(threads, error);
  return model->pool != NULL ? HONE_OK : HONE_ERROR_NO_MEMORY;
}

static hone_error_code LoadCode(hone_model* model, hone_error* error) {
  model->code = Allocate(Header(model)->kernels.count, sizeof(*model->code));
  if (model->code == NULL) return hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for kernels");
  for (uint64_t i = 0; i < Header(model)->kernels.count; ++i) {
    const hone_model_kernel* kernel = &model->image.kernels[i];
    hone_error detail = {0};
    model->code[i] = hone_elf_load((const char*)Header(model) + kernel->code_offset,
                                   kernel->code_bytes, &detail);
    if (model->code[i] == NULL) {
      return hone_fail(error, detail.code, "kernel %.80s: %.160s", Name(model, kernel->name),
                       detail.message);
    }
    if (hone_elf_function(model->code[i], Name(model, kernel->entry)) == NULL) {
      return hone_fail(error, HONE_ERROR_MALFORMED, "kernel %.80s has no function %.80s",
                       Name(model, kernel->name), Name(model, kernel->entry));
    }
  }
  return HONE_OK;
}

/* After the code is loaded, which says whether it is for this kind of machine at all. */
static hone_error_code CheckCpu(const hone_model* model, hone_error* error) {
  const hone_cpu cpu = hone_cpu_read();
  char missing[80];
  if (hone_cpu_missing(&cpu, Name(model, Header(model)->cpu_features), missing, sizeof(missing)) ==
      0) {
    return HONE_OK;
  }
  return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                   "'%.60s' was compiled for a CPU with %s, which this one lacks; compile it on "
                   "this machine (hone compile)",
                   Name(model, Header(model)->name), missing);
}

/* A feature that is listed only where some kernel needs the tiles. */
static bool UsesTiles(const hone_model* model) {
  return strstr(Name(model, Header(model)->cpu_features), "amx-tile") != NULL;
}

static uint64_t ScratchBytes(const hone_model* model, uint64_t threads) {
  uint64_t largest = 0;
  for (uint64_t i = 0; i < Header(model)->kernels.count; ++i) {
    const hone_model_kernel* kernel = &model->image.kernels[i];
    const uint64_t bytes = kernel->scratch_shared_bytes + threads * kernel->scratch_worker_bytes;
    if (bytes > largest) largest = bytes;
  }
  return largest;
}

static hone_error_code TakeTables(hone_model* model, hone_error* error) {
  const hone_model_header* header = Header(model);
  model->inputs = Allocate(header->inputs.count, sizeof(*model->inputs));
  model->input_set = Allocate(header->inputs.count, sizeof(*model->input_set));
  model->outputs = Allocate(header->outputs.count, sizeof(*model->outputs));
  model->buffers = Allocate(header->operands.count, sizeof(*model->buffers));
  model->steps = Allocate(header->instructions.count, sizeof(*model->steps));
  if (model->inputs != NULL && model->input_set != NULL && model->outputs != NULL &&
      model->buffers != NULL && model->steps != NULL) {
    return HONE_OK;
  }
  return hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for the tables of a model");
}

static hone_error_code TakeMemory(hone_model* model, hone_error* error) {
  const hone_model_header* header = Header(model);
  const uint64_t scratch_bytes =
      ScratchBytes(model, (uint64_t)hone_pool_host(model->pool)->thread_count);
  uint64_t bytes = AlignUp(header->arena_bytes) + AlignUp(scratch_bytes);
  for (uint64_t i = 0; i < header->inputs.count; ++i)
    bytes += AlignUp(model->image.inputs[i].bytes);
  for (uint64_t i = 0; i < header->outputs.count; ++i) {
    bytes += AlignUp(model->image.outputs[i].bytes);
  }
  /* Large pages spare kernels the misses of address translation; a machine without them does well
   * without. */
  const int large = bytes >= LARGE_PAGE_BYTES;
  const size_t alignment = large ? LARGE_PAGE_BYTES : HONE_ALIGNMENT;
  if (bytes > SIZE_MAX / 2 ||
      posix_memalign(&model->arena, alignment, bytes + HONE_ALIGNMENT) != 0) {
    model->arena = NULL;
    return hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory: the model needs %llu MiB",
                     (unsigned long long)(bytes >> 20));
  }
  if (large) (void)madvise(model->arena, bytes, MADV_HUGEPAGE);
  /* Zeroed here, so that no page is first touched while running. */
  memset(model->arena, 0, bytes);
  char* next = (char*)model->arena + AlignUp(header->arena_bytes);
  model->scratch = next;
  next += AlignUp(scratch_bytes);
  for (uint64_t i = 0; i < header->inputs.count; ++i) {
    model->inputs[i] = next;
    next += AlignUp(model->image.inputs[i].bytes);
  }
  for (uint64_t i = 0; i < header->outputs.count; ++i) {
    model->outputs[i] = next;
    next += AlignUp(model->image.outputs[i].bytes);
  }
  return HONE_OK;
}

static void* Resolve(const hone_model* model, const hone_model_operand* operand) {
  switch (operand->place) {
    case HONE_PLACE_ARENA:
      return (char*)model->arena + operand->offset;
    case HONE_PLACE_CONSTANT:
      return (char*)Header(model) + operand->offset;
    case HONE_PLACE_INPUT:
      return model->inputs[operand->index] + operand->offset;
    case HONE_PLACE_OUTPUT:
      return model->outputs[operand->index] + operand->offset;
    default:
      return NULL;
  }
}

static void PrepareSteps(hone_model* model) {
  const hone_model_image* image = &model->image;
  for (uint64_t i = 0; i < image->header->operands.count; ++i) {
    model->buffers[i] = Resolve(model, &image->operands[i]);
  }
  for (uint64_t i = 0; i < image->header->instructions.count; ++i) {
    const hone_model_instruction* instruction = &image->instructions[i];
    Step* step = &model->steps[i];
    step->args.buffers = &model->buffers[instruction->first_operand];
    if (instruction->opcode == HONE_OP_COPY) continue;
    step->args.params = model->shapes.sizes + instruction->first_size;
    step->args.scratch = model->scratch;
    step->args.host = hone_pool_host(model->pool);
    step->run = (hone_kernel_fn)hone_elf_function(
        model->code[instruction->kernel], Name(model, image->kernels[instruction->kernel].entry));
  }
}

/* Brings what depends on the shapes up to what they are now. */
static void FollowShapes(hone_model* model) {
  const hone_model_image* image = &model->image;
  for (uint64_t i = 0; i < image->header->inputs.count; ++i) {
    if (model->shapes.inputs[i].changed) model->input_set[i] = false;
  }
  for (uint64_t i = 0; i < image->header->instructions.count; ++i) {
    const hone_model_instruction* instruction = &image->instructions[i];
    if (instruction->opcode != HONE_OP_COPY) continue;
    const hone_model_operand* to = &image->operands[instruction->first_operand];
    model->steps[i].copy_bytes = (size_t)model->shapes.outputs[to->index].bytes;
  }
}

/* All that running takes beside tables and shapes. */
static hone_error_code MakeReady(hone_model* model, int threads, hone_error* error) {
  hone_error_code code = StartThreads(model, threads, error);
  if (code == HONE_OK) code = LoadCode(model, error);
  if (code == HONE_OK) code = CheckCpu(model, error);
  if (code == HONE_OK && UsesTiles(model)) code = hone_pool_use_tiles(model->pool, error);
  if (code == HONE_OK) code = TakeMemory(model, error);
  return code;
}

static hone_model* Finish(hone_model* model, const hone_model_options* options, hone_error* error) {
  const bool describe = options != NULL && options->describe != 0;
  model->profile = options != NULL && options->profile != 0;
  hone_error_code code = TakeTables(model, error);
  if (code == HONE_OK && !describe) {
    code = MakeReady(model, options != NULL ? options->threads : 0, error);
  }
  if (code == HONE_OK) code = hone_model_shapes_create(&model->shapes, &model->image, error);
  if (code != HONE_OK) {
    hone_model_free(model);
    return NULL;
  }
  model->uses_tiles = UsesTiles(model);
  if (!describe) PrepareSteps(model);
  FollowShapes(model);
  return model;
}

static hone_error_code CheckRunnable(const hone_model* model, hone_error* error) {
  if (model->pool != NULL) return HONE_OK;
  return hone_fail(error, HONE_ERROR_ARGUMENT,
                   "the model was loaded to be described: it takes no values and does not run");
}

static hone_model* New(hone_error* error) {
  hone_model* model = calloc(1, sizeof(*model));
  if (model == NULL) hone_fail(error, HONE_ERROR_NO_MEMORY, "no memory for a model");
  return model;
}

hone_model* hone_model_load(const char* path, const hone_model_options* options,
                            hone_error* error) {
  hone_model* model = New(error);
  if (model == NULL) return NULL;
  if (hone_model_image_open(&model->image, path, error) != HONE_OK) {
    free(model);
    return NULL;
  }
  return Finish(model, options, error);
}

hone_model* hone_model_load_bytes(const void* bytes, uint64_t count,
                                  const hone_model_options* options, hone_error* error) {
  hone_model* model = New(error);
  if (model == NULL) return NULL;
  if (hone_model_image_read(&model->image, bytes, count, error) != HONE_OK) {
    free(model);
    return NULL;
  }
  return Finish(model, options, error);
}

hone_model* hone_model_load_symbol(const void* symbol, const hone_model_options* options,
                                   hone_error* error) {
  hone_model* model = New(error);
  if (model == NULL) return NULL;
  if (hone_model_image_use(&model->image, symbol, error) != HONE_OK) {
    free(model);
    return NULL;
  }
  return Finish(model, options, error);
}

void hone_model_free(hone_model* model) {
  if (model == NULL) return;
  hone_pool_destroy(model->pool);
  if (model->code != NULL) {
    for (uint64_t i = 0; i < Header(model)->kernels.count; ++i) hone_elf_unload(model->code[i]);
  }
  free(model->code);
  free(model->arena);
  free(model->inputs);
  free(model->input_set);
  hone_model_shapes_free(&model->shapes);
  free(model->outputs);
  free(model->buffers);
  free(model->steps);
  hone_model_image_close(&model->image);
  free(model);
}

const char* hone_model_name(const hone_model* model) { return Name(model, Header(model)->name); }

const char* hone_model_target(const hone_model* model) {
  return Name(model, Header(model)->target);
}

const char* hone_model_cpu_features(const hone_model* model) {
  return Name(model, Header(model)->cpu_features);
}

int hone_model_threads(const hone_model* model) {
  if (model->pool == NULL) return (int)Header(model)->thread_count;
  return (int)hone_pool_host(model->pool)->thread_count;
}

int hone_model_input_count(const hone_model* model) { return (int)Header(model)->inputs.count; }

int hone_model_output_count(const hone_model* model) { return (int)Header(model)->outputs.count; }

static hone_error_code CheckIndex(int index, int count, const char* what, hone_error* error) {
  if (index >= 0 && index < count) return HONE_OK;
  return hone_fail(error, HONE_ERROR_ARGUMENT, "no %s %d: the model has %d", what, index, count);
}

static void Describe(const hone_model* model, const hone_model_tensor* tensor,
                     const hone_model_shape* shape, hone_tensor_info* info) {
  info->name = Name(model, tensor->name);
  info->dtype = tensor->dtype;
  info->rank = (int)tensor->rank;
  info->shape = shape->extents;
  info->bytes = shape->bytes;
}

hone_error_code hone_model_input_info(const hone_model* model, int index, hone_tensor_info* info,
                                      hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_input_count(model), "input", error);
  if (code == HONE_OK) {
    Describe(model, &model->image.inputs[index], &model->shapes.inputs[index], info);
  }
  return code;
}

hone_error_code hone_model_output_info(const hone_model* model, int index, hone_tensor_info* info,
                                       hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_output_count(model), "output", error);
  if (code == HONE_OK) {
    Describe(model, &model->image.outputs[index], &model->shapes.outputs[index], info);
  }
  return code;
}

static hone_error_code CheckBytes(const hone_model* model, const hone_model_tensor* tensor,
                                  const hone_model_shape* shape, int64_t bytes, hone_error* error) {
  if (bytes == shape->bytes) return HONE_OK;
  return hone_fail(error, HONE_ERROR_ARGUMENT, "'%.100s' has %lld bytes (%s), not %lld",
                   Name(model, tensor->name), (long long)shape->bytes, tensor->dtype,
                   (long long)bytes);
}

hone_error_code hone_model_set_input_shape(hone_model* model, int index, const int64_t* shape,
                                           int rank, hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_input_count(model), "input", error);
  if (code == HONE_OK) code = hone_model_shapes_set(&model->shapes, index, shape, rank, error);
  if (code == HONE_OK) FollowShapes(model);
  return code;
}

/* Points every operand that lies in the input to `data`. */
static void PointInput(hone_model* model, int index, const void* data) {
  for (uint64_t i = 0; i < Header(model)->operands.count; ++i) {
    const hone_model_operand* operand = &model->image.operands[i];
    if (operand->place == HONE_PLACE_INPUT && operand->index == (uint32_t)index) {
      model->buffers[i] = (char*)data + operand->offset;
    }
  }
  model->input_set[index] = true;
}

hone_error_code hone_model_set_input(hone_model* model, int index, const void* data, int64_t bytes,
                                     hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_input_count(model), "input", error);
  if (code == HONE_OK) code = CheckRunnable(model, error);
  if (code == HONE_OK) {
    code =
        CheckBytes(model, &model->image.inputs[index], &model->shapes.inputs[index], bytes, error);
  }
  if (code != HONE_OK) return code;
  memcpy(model->inputs[index], data, (size_t)bytes);
  PointInput(model, index, model->inputs[index]);
  return HONE_OK;
}

hone_error_code hone_model_borrow_input(hone_model* model, int index, const void* data,
                                        int64_t bytes, hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_input_count(model), "input", error);
  if (code == HONE_OK) code = CheckRunnable(model, error);
  if (code == HONE_OK) {
    code =
        CheckBytes(model, &model->image.inputs[index], &model->shapes.inputs[index], bytes, error);
  }
  if (code != HONE_OK) return code;
  if ((uintptr_t)data % HONE_ALIGNMENT != 0) {
    return hone_fail(error, HONE_ERROR_ARGUMENT,
                     "borrowed memory is aligned to %d bytes; use hone_model_set_input for other",
                     HONE_ALIGNMENT);
  }
  PointInput(model, index, data);
  return HONE_OK;
}

static int64_t Nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

hone_error_code hone_model_run(hone_model* model, hone_error* error) {
  const hone_model_header* header = Header(model);
  if (CheckRunnable(model, error) != HONE_OK) return HONE_ERROR_ARGUMENT;
  for (uint64_t i = 0; i < header->inputs.count; ++i) {
    if (!model->input_set[i]) {
      return hone_fail(error, HONE_ERROR_ARGUMENT, "input %llu ('%.100s') was never set",
                       (unsigned long long)i, Name(model, model->image.inputs[i].name));
    }
  }
  /* This may be another thread than the last, or one whose tiles someone else has used. */
  if (model->uses_tiles) hone_tiles_configure();
  int64_t before = model->profile ? Nanos() : 0;
  for (uint64_t i = 0; i < header->instructions.count; ++i) {
    Step* step = &model->steps[i];
    if (step->run == NULL) {
      memcpy(step->args.buffers[0], step->args.buffers[1], step->copy_bytes);
    } else {
      const int32_t result = step->run(&step->args);
      if (result != 0) {
        return hone_fail(error, HONE_ERROR_KERNEL, "'%.150s' failed with %d",
                         Name(model, model->image.instructions[i].name), result);
      }
    }
    if (model->profile) {
      const int64_t after = Nanos();
      step->last_ns = after - before;
      before = after;
    }
  }
  return HONE_OK;
}

const void* hone_model_output(const hone_model* model, int index) {
  return index >= 0 && index < hone_model_output_count(model) ? model->outputs[index] : NULL;
}

hone_error_code hone_model_get_output(const hone_model* model, int index, void* data, int64_t bytes,
                                      hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_output_count(model), "output", error);
  if (code == HONE_OK) code = CheckRunnable(model, error);
  if (code == HONE_OK) {
    code = CheckBytes(model, &model->image.outputs[index], &model->shapes.outputs[index], bytes,
                      error);
  }
  if (code == HONE_OK) memcpy(data, model->outputs[index], (size_t)bytes);
  return code;
}

int hone_model_step_count(const hone_model* model) {
  return (int)Header(model)->instructions.count;
}

hone_error_code hone_model_step(const hone_model* model, int index, hone_step_info* info,
                                hone_error* error) {
  hone_error_code code = CheckIndex(index, hone_model_step_count(model), "step", error);
  if (code != HONE_OK) return code;
  const hone_model_instruction* instruction = &model->image.instructions[index];
  info->node = Name(model, instruction->name);
  info->last_ns = model->steps[index].last_ns;
  if (instruction->opcode == HONE_OP_COPY) {
    info->kernel = "copy";
    info->flop_count = 0;
    info->argument_bytes = (int64_t)(2 * model->steps[index].copy_bytes);
  } else {
    const hone_model_kernel* kernel = &model->image.kernels[instruction->kernel];
    info->kernel = Name(model, kernel->name);
    info->flop_count = kernel->flop_count;
    info->argument_bytes = (int64_t)kernel->argument_bytes;
  }
  return HONE_OK;
}
