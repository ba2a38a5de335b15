/* Loads the code of kernels: shared objects that obey kernel.h, from bytes. Used by the agent's
 * worker, by the package builder and by the model executor, static or not, so that there is one
 * loader everywhere. It does not link: whatever needs a relocation, another library, writable data
 * or code run at load time is refused. It believes nothing in the file: every offset is checked,
 * so damaged or hostile bytes give an error, never a wild access. (Running what was loaded is
 * another matter.) */
#ifndef HONE_RUNTIME_ELF_LOADER_H_
#define HONE_RUNTIME_ELF_LOADER_H_

#include <stddef.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest image, in memory, that is loaded. */
#define HONE_ELF_IMAGE_BYTES_MAX ((size_t)256 << 20)

typedef struct hone_elf hone_elf;

/* Copies the image into memory of its own; `bytes` (of any alignment) may go afterwards. Code ends
 * up readable and executable, everything else readable. Null (and `error`) on failure. */
hone_elf* hone_elf_load(const void* bytes, size_t size, hone_error* error);
hone_elf* hone_elf_load_file(const char* path, hone_error* error);

/* The address of an exported function of that name, or null. */
void* hone_elf_function(const hone_elf* elf, const char* name);

/* Unmaps the code. Null is fine. */
void hone_elf_unload(hone_elf* elf);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_ELF_LOADER_H_ */
