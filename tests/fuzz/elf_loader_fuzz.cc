// libFuzzer on the kernel loader: any bytes load or are refused, without a wild access.
//   build/fuzz/tests/elf_loader_fuzz -max_total_time=60 CORPUS, seeded with any kernel's .so
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
