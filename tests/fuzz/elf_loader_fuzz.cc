// The loader of kernels: any bytes load or are refused, without a wild access. The corpus has a
// real kernel to begin with.
#include <cstddef>
#include <cstdint>

#include "runtime/elf_loader.h"
#include "runtime/kernel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hone_elf* elf = hone_elf_load(data, size, nullptr);
  if (elf != nullptr) hone_elf_function(elf, HONE_RUN_SYMBOL);
  hone_elf_unload(elf);
  return 0;
}
