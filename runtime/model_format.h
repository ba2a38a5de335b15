/* The compiled model as bytes: what compiler/package writes and runtime/model.c reads. Fixed-size
 * little-endian structs with offsets from the header, no pointers, so a model is mapped and used
 * where it lies, weights included. The program it holds is a list of instructions over memory that
 * was planned when compiling; running it allocates nothing.
 *
 * The bytes are wrapped in an ELF shared object (compiler/package/shared_object): its dynamic
 * symbol `hone_model_v1` is the header, and a program header of type HONE_MODEL_SEGMENT says where
 * it is in the file, for readers that do not use the system's loader. */
#ifndef HONE_RUNTIME_MODEL_FORMAT_H_
#define HONE_RUNTIME_MODEL_FORMAT_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_MODEL_MAGIC "HONEMDL"
#define HONE_MODEL_VERSION 2u
#define HONE_MODEL_SYMBOL "hone_model_v1"
/* In the range that ELF leaves to operating systems; system loaders skip it. */
#define HONE_MODEL_SEGMENT 0x6f6e6531u

#define HONE_MODEL_RANK_MAX 8

/* `count` records at `offset` bytes from the header, a multiple of 8. */
typedef struct hone_model_table {
  uint64_t offset;
  uint64_t count;
} hone_model_table;

/* Names are offsets of zero-terminated text in the table of strings. */
typedef struct hone_model_header {
  char magic[8];
  uint32_t version;
  uint32_t header_bytes; /* sizeof(hone_model_header) of the writer */
  uint64_t total_bytes;  /* header, tables, constants and code */
  uint64_t table_bytes;  /* header and tables; constants and code follow */
  uint64_t checksum;     /* hone_model_checksum of the first table_bytes, with 0 in its own place */
  uint32_t name;
  uint32_t target; /* text form of the Target it was compiled for */
  uint64_t arena_bytes;
  uint32_t thread_count;         /* that it was tuned for */
  uint32_t cpu_features;         /* that its code may use, by cpu_features.h: "avx2,fma" */
  hone_model_table inputs;       /* hone_model_tensor */
  hone_model_table outputs;      /* hone_model_tensor */
  hone_model_table kernels;      /* hone_model_kernel */
  hone_model_table instructions; /* hone_model_instruction, run in order */
  hone_model_table operands;     /* hone_model_operand */
  hone_model_table params;       /* hone_model_param */
  hone_model_table sizes;        /* hone_model_size, the parameters of calls */
  hone_model_table strings;      /* char */
} hone_model_header;

/* FNV-1a, 64 bits. It finds damage, not malice: a model is code, trusted as such. */
static inline uint64_t hone_model_checksum(uint64_t sum, const void* bytes, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    sum = (sum ^ ((const unsigned char*)bytes)[i]) * 0x100000001b3u;
  }
  return sum;
}
#define HONE_MODEL_CHECKSUM_START 0xcbf29ce484222325u

/* A size that stays open until the model runs, in the range [min, max]. */
typedef struct hone_model_param {
  uint32_t name;
  uint32_t reserved;
  int64_t min;
  int64_t max;
} hone_model_param;

/* `top` where the parameter is at its max, and `scale` less for each step below. */
typedef struct hone_model_size {
  int64_t top;
  int64_t scale; /* 0: it depends on no parameter */
  uint32_t param;
  uint32_t reserved;
} hone_model_size;

/* An input or output: dense, row-major. */
typedef struct hone_model_tensor {
  uint32_t name;
  uint32_t rank;
  char dtype[8]; /* "f32", zero-terminated */
  hone_model_size shape[HONE_MODEL_RANK_MAX];
  uint64_t bytes; /* at the tops; so are all other bytes in this file */
} hone_model_tensor;

/* One kernel's code: an ELF image by the rules of kernel.h, loaded by elf_loader. */
typedef struct hone_model_kernel {
  uint32_t name;  /* for people */
  uint32_t entry; /* the symbol to call: "hone_run" */
  uint64_t code_offset;
  uint64_t code_bytes;
  uint64_t scratch_shared_bytes;
  uint64_t scratch_worker_bytes; /* times the thread count, after the shared part */
  double flop_count;             /* of one call; for reports */
  uint64_t argument_bytes;       /* that one call must read and write at least; for reports */
} hone_model_kernel;

typedef enum hone_model_opcode {
  HONE_OP_CALL = 1,   /* kernel(operands..., sizes...) */
  HONE_OP_COPY = 2,   /* operand 0 = operand 1, equally long: an output's present size */
  HONE_OP_BRANCH = 3, /* reserved: no reader of this version accepts it */
  HONE_OP_LOOP = 4    /* reserved */
} hone_model_opcode;

typedef struct hone_model_instruction {
  uint32_t opcode;
  uint32_t kernel; /* HONE_OP_CALL */
  uint32_t first_operand;
  uint32_t operand_count;
  uint32_t first_size; /* one a parameter of the kernel */
  uint32_t size_count;
  uint32_t name; /* the nodes of the model it computes, for people */
  uint32_t reserved;
} hone_model_instruction;

typedef enum hone_model_place {
  HONE_PLACE_NONE = 0, /* a buffer the kernel does not touch: a null pointer */
  HONE_PLACE_ARENA = 1,
  HONE_PLACE_CONSTANT = 2, /* offset from the header */
  HONE_PLACE_INPUT = 3,    /* of input `index` */
  HONE_PLACE_OUTPUT = 4    /* of output `index` */
} hone_model_place;

/* Where a buffer lies. Offsets are multiples of HONE_ALIGNMENT. */
typedef struct hone_model_operand {
  uint32_t place;
  uint32_t index;
  uint64_t offset;
  uint64_t bytes;
} hone_model_operand;

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_MODEL_FORMAT_H_ */
