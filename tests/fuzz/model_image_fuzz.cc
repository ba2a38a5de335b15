// The bytes of a compiled model, as the runtime maps them: any bytes are refused or usable, without
// a wild access. What is refused says why.
#include <stdlib.h>
#include <string.h>

#include <cstddef>
#include <cstdint>

#include "runtime/model_format.h"
#include "runtime/model_image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < sizeof(hone_model_header)) return 0;
  // Mapped by the loader, so as large as the header says, at most what was given here; aligned.
  auto* bytes = static_cast<unsigned char*>(aligned_alloc(64, (size + 63) / 64 * 64));
  memcpy(bytes, data, size);
  hone_model_header header;
  memcpy(&header, bytes, sizeof(header));
  hone_error error = {};
  hone_model_image image = {};
  // A damaged checksum would end every reading: it is made right, where what it is of is there.
  if (header.table_bytes >= sizeof(header) && header.table_bytes <= header.total_bytes &&
      header.total_bytes <= size) {
    auto* const mended = reinterpret_cast<hone_model_header*>(bytes);
    mended->checksum = 0;
    mended->checksum = hone_model_checksum(HONE_MODEL_CHECKSUM_START, bytes, header.table_bytes);
  }
  if (header.total_bytes <= size && hone_model_image_use(&image, bytes, &error) == HONE_OK) {
    hone_model_image_close(&image);
  } else if (header.total_bytes <= size && error.message[0] == '\0') {
    abort();
  }
  free(bytes);
  return 0;
}
