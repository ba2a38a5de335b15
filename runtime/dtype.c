#include "runtime/dtype.h"

#include <string.h>

static const struct {
  const char* name;
  int64_t bytes;
} kDTypes[] = {
    {"bool", 1}, {"i8", 1},  {"u8", 1},  {"i16", 2},  {"u16", 2}, {"i32", 4}, {"u32", 4},
    {"i64", 8},  {"u64", 8}, {"f16", 2}, {"bf16", 2}, {"f32", 4}, {"f64", 8},
};

int64_t hone_dtype_bytes(const char* dtype) {
  for (size_t i = 0; i < sizeof(kDTypes) / sizeof(kDTypes[0]); ++i) {
    if (strcmp(dtype, kDTypes[i].name) == 0) return kDTypes[i].bytes;
  }
  return 0;
}
