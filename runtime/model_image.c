#include "runtime/model_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/dtype.h"
#include "runtime/kernel.h"

/* Limits that no sane model reaches; they keep sums of sizes far from overflow. */
#define MEMORY_BYTES_MAX ((uint64_t)1 << 40)
#define RECORDS_MAX ((uint64_t)1 << 24)

static bool Inside(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

static hone_error_code Damaged(hone_error* error, const char* what) {
  return hone_fail(error, HONE_ERROR_MALFORMED,
                   "the model is truncated or damaged (%s); compile it again", what);
}

/* Sets *records to the table's place; false if it is not inside. */
static bool FindTable(const hone_model_header* header, hone_model_table table, size_t record_bytes,
                      const void** records) {
  if (table.offset % 8 != 0 || table.count > RECORDS_MAX ||
      !Inside(table.offset, table.count * record_bytes, header->table_bytes)) {
    return false;
  }
  *records = (const char*)header + table.offset;
  return true;
}

static bool IsName(const hone_model_image* image, uint32_t name) {
  return name < image->header->strings.count;
}

static hone_error_code CheckParams(const hone_model_image* image, hone_error* error) {
  for (uint64_t i = 0; i < image->header->params.count; ++i) {
    const hone_model_param* param = &image->params[i];
    if (!IsName(image, param->name) || param->min < 0 || param->min > param->max ||
        (uint64_t)param->max > MEMORY_BYTES_MAX) {
      return Damaged(error, "a parameter");
    }
  }
  return HONE_OK;
}

/* Whether the size is in [0, top] for all values of its parameter. */
static bool IsSize(const hone_model_image* image, const hone_model_size* size) {
  if (size->top < 0 || (uint64_t)size->top > MEMORY_BYTES_MAX) return false;
  if (size->scale == 0) return true;
  if (size->scale < 0 || size->param >= image->header->params.count) return false;
  const hone_model_param* param = &image->params[size->param];
  return param->min == param->max || size->scale <= size->top / (param->max - param->min);
}

static hone_error_code CheckTensors(const hone_model_image* image, const hone_model_tensor* tensors,
                                    uint64_t count, hone_error* error) {
  for (uint64_t i = 0; i < count; ++i) {
    const hone_model_tensor* tensor = &tensors[i];
    if (!IsName(image, tensor->name) || tensor->rank > HONE_MODEL_RANK_MAX ||
        memchr(tensor->dtype, '\0', sizeof(tensor->dtype)) == NULL) {
      return Damaged(error, "an input or output");
    }
    uint64_t bytes = (uint64_t)hone_dtype_bytes(tensor->dtype);
    if (bytes == 0) {
      return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                       "the model uses the element type '%s', which this library does not know",
                       tensor->dtype);
    }
    for (uint32_t d = 0; d < tensor->rank; ++d) {
      const uint64_t extent = (uint64_t)tensor->shape[d].top;
      if (!IsSize(image, &tensor->shape[d]) || (extent != 0 && bytes > MEMORY_BYTES_MAX / extent)) {
        return Damaged(error, "a shape");
      }
      bytes *= extent;
    }
    if (bytes != tensor->bytes) return Damaged(error, "a tensor's size");
  }
  return HONE_OK;
}

static hone_error_code CheckKernels(const hone_model_image* image, hone_error* error) {
  const hone_model_header* header = image->header;
  for (uint64_t i = 0; i < header->kernels.count; ++i) {
    const hone_model_kernel* kernel = &image->kernels[i];
    if (!IsName(image, kernel->name) || !IsName(image, kernel->entry) ||
        !Inside(kernel->code_offset, kernel->code_bytes, header->total_bytes) ||
        kernel->scratch_shared_bytes > MEMORY_BYTES_MAX ||
        kernel->scratch_worker_bytes > MEMORY_BYTES_MAX ||
        kernel->scratch_worker_bytes % HONE_ALIGNMENT != 0) {
      return Damaged(error, "a kernel");
    }
  }
  return HONE_OK;
}

static bool IsOperand(const hone_model_image* image, const hone_model_operand* operand) {
  const hone_model_header* header = image->header;
  if (operand->offset % HONE_ALIGNMENT != 0) return false;
  switch (operand->place) {
    case HONE_PLACE_NONE:
      return true;
    case HONE_PLACE_ARENA:
      return Inside(operand->offset, operand->bytes, header->arena_bytes);
    case HONE_PLACE_CONSTANT:
      return Inside(operand->offset, operand->bytes, header->total_bytes);
    case HONE_PLACE_INPUT:
      return operand->index < header->inputs.count &&
             Inside(operand->offset, operand->bytes, image->inputs[operand->index].bytes);
    case HONE_PLACE_OUTPUT:
      return operand->index < header->outputs.count &&
             Inside(operand->offset, operand->bytes, image->outputs[operand->index].bytes);
    default:
      return false;
  }
}

static hone_error_code CheckProgram(const hone_model_image* image, hone_error* error) {
  const hone_model_header* header = image->header;
  for (uint64_t i = 0; i < header->operands.count; ++i) {
    if (!IsOperand(image, &image->operands[i])) return Damaged(error, "an operand");
  }
  for (uint64_t i = 0; i < header->sizes.count; ++i) {
    if (!IsSize(image, &image->sizes[i])) return Damaged(error, "a size");
  }
  for (uint64_t i = 0; i < header->instructions.count; ++i) {
    const hone_model_instruction* instruction = &image->instructions[i];
    if (!IsName(image, instruction->name) ||
        !Inside(instruction->first_operand, instruction->operand_count, header->operands.count) ||
        !Inside(instruction->first_size, instruction->size_count, header->sizes.count)) {
      return Damaged(error, "an instruction");
    }
    switch (instruction->opcode) {
      case HONE_OP_CALL:
        if (instruction->kernel >= header->kernels.count) return Damaged(error, "a call");
        break;
      case HONE_OP_COPY: {
        const hone_model_operand* operands = &image->operands[instruction->first_operand];
        if (instruction->operand_count != 2 || operands[0].bytes != operands[1].bytes ||
            operands[0].place != HONE_PLACE_OUTPUT || operands[1].place == HONE_PLACE_NONE ||
            operands[0].offset != 0 ||
            operands[0].bytes != image->outputs[operands[0].index].bytes) {
          return Damaged(error, "a copy");
        }
        break;
      }
      default:
        return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                         "the model uses instruction %u, which this library does not know; use the "
                         "library of the hone that compiled it",
                         instruction->opcode);
    }
  }
  return HONE_OK;
}

static uint64_t Checksum(const hone_model_header* header) {
  hone_model_header without = *header;
  without.checksum = 0;
  const uint64_t sum = hone_model_checksum(HONE_MODEL_CHECKSUM_START, &without, sizeof(without));
  return hone_model_checksum(sum, header + 1, header->table_bytes - sizeof(without));
}

/* `available`: bytes that can be read from `bytes` on. */
static hone_error_code Check(hone_model_image* image, const void* bytes, uint64_t available,
                             hone_error* error) {
  const hone_model_header* header = bytes;
  if (available < sizeof(*header)) return Damaged(error, "its header");
  if (memcmp(header->magic, HONE_MODEL_MAGIC, sizeof(header->magic)) != 0) {
    return hone_fail(error, HONE_ERROR_MALFORMED, "not a compiled model; make one: hone compile");
  }
  if (header->version != HONE_MODEL_VERSION || header->header_bytes != sizeof(*header)) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "the model has format version %u, this library reads version %u; compile it "
                     "again, or use the library of the hone that compiled it",
                     header->version, HONE_MODEL_VERSION);
  }
  if (header->total_bytes > available || header->arena_bytes > MEMORY_BYTES_MAX) {
    return Damaged(error, "its size");
  }
  if (header->table_bytes < sizeof(*header) || header->table_bytes > header->total_bytes ||
      header->checksum != Checksum(header)) {
    return Damaged(error, "its checksum");
  }
  image->header = header;
  if (!FindTable(header, header->inputs, sizeof(hone_model_tensor), (const void**)&image->inputs) ||
      !FindTable(header, header->outputs, sizeof(hone_model_tensor),
                 (const void**)&image->outputs) ||
      !FindTable(header, header->kernels, sizeof(hone_model_kernel),
                 (const void**)&image->kernels) ||
      !FindTable(header, header->instructions, sizeof(hone_model_instruction),
                 (const void**)&image->instructions) ||
      !FindTable(header, header->operands, sizeof(hone_model_operand),
                 (const void**)&image->operands) ||
      !FindTable(header, header->params, sizeof(hone_model_param), (const void**)&image->params) ||
      !FindTable(header, header->sizes, sizeof(hone_model_size), (const void**)&image->sizes) ||
      !FindTable(header, header->strings, 1, (const void**)&image->strings)) {
    return Damaged(error, "a table");
  }
  if (header->strings.count == 0 || image->strings[header->strings.count - 1] != '\0' ||
      !IsName(image, header->name) || !IsName(image, header->target) ||
      !IsName(image, header->cpu_features)) {
    return Damaged(error, "its names");
  }
  hone_error_code code = CheckParams(image, error);
  if (code == HONE_OK) code = CheckTensors(image, image->inputs, header->inputs.count, error);
  if (code == HONE_OK) code = CheckTensors(image, image->outputs, header->outputs.count, error);
  if (code == HONE_OK) code = CheckKernels(image, error);
  if (code == HONE_OK) code = CheckProgram(image, error);
  return code;
}

/* The program header that names the model's place in the file. */
static hone_error_code FindModel(const unsigned char* file, size_t size, uint64_t* offset,
                                 uint64_t* bytes, hone_error* error) {
  Elf64_Ehdr elf;
  if (size < sizeof(elf)) return Damaged(error, "the file ends in its first bytes");
  memcpy(&elf, file, sizeof(elf));
  if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0) {
    return hone_fail(error, HONE_ERROR_MALFORMED,
                     "not a compiled model (not a shared object); make one: hone compile");
  }
  if (elf.e_ident[EI_CLASS] == ELFCLASS64 && elf.e_phentsize == sizeof(Elf64_Phdr)) {
    for (int i = 0; i < elf.e_phnum; ++i) {
      Elf64_Phdr segment;
      if (elf.e_phoff > size ||
          !Inside(elf.e_phoff + (uint64_t)i * sizeof(segment), sizeof(segment), size)) {
        return Damaged(error, "the program headers");
      }
      memcpy(&segment, file + elf.e_phoff + (uint64_t)i * sizeof(segment), sizeof(segment));
      if (segment.p_type != HONE_MODEL_SEGMENT) continue;
      if (segment.p_offset % HONE_ALIGNMENT != 0 || segment.p_offset > size) {
        return Damaged(error, "the place of the model");
      }
      *offset = segment.p_offset;
      /* A shorter file is reported by the check of the header, as what it is. */
      *bytes =
          segment.p_filesz < size - segment.p_offset ? segment.p_filesz : size - segment.p_offset;
      return HONE_OK;
    }
  }
  return hone_fail(error, HONE_ERROR_MALFORMED,
                   "a shared object, but not a compiled model; make one: hone compile");
}

hone_error_code hone_model_image_use(hone_model_image* image, const void* header,
                                     hone_error* error) {
  memset(image, 0, sizeof(*image));
  return Check(image, header, UINT64_MAX, error);
}

hone_error_code hone_model_image_read(hone_model_image* image, const void* bytes, uint64_t count,
                                      hone_error* error) {
  memset(image, 0, sizeof(*image));
  uint64_t offset = 0;
  uint64_t available = 0;
  hone_error_code code = FindModel(bytes, (size_t)count, &offset, &available, error);
  if (code == HONE_OK) code = Check(image, (const char*)bytes + offset, available, error);
  return code;
}

hone_error_code hone_model_image_open(hone_model_image* image, const char* path,
                                      hone_error* error) {
  memset(image, 0, sizeof(*image));
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    hone_error_code code =
        hone_fail(error, HONE_ERROR_IO, "%.150s: cannot open: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return code;
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    close(fd);
    return hone_fail(error, HONE_ERROR_MALFORMED, "%.150s: not a file with anything in it", path);
  }
  const size_t size = (size_t)info.st_size;
  void* mapping = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (mapping == MAP_FAILED) {
    return hone_fail(error, HONE_ERROR_IO, "%.150s: cannot map: %s", path, strerror(errno));
  }
  hone_error detail = {0};
  const hone_error_code code = hone_model_image_read(image, mapping, size, &detail);
  image->mapping = mapping;
  image->mapping_bytes = size;
  if (code == HONE_OK) return HONE_OK;
  hone_model_image_close(image);
  return hone_fail(error, code, "%.80s: %.170s", path, detail.message);
}

void hone_model_image_close(hone_model_image* image) {
  if (image->mapping != NULL) munmap(image->mapping, image->mapping_bytes);
  memset(image, 0, sizeof(*image));
}
