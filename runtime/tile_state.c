#include "runtime/tile_state.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/cpu_features.h"

#if defined(__x86_64__)

/* <asm/prctl.h> of older systems lacks these. */
enum { kRequestComponent = 0x1023 /* ARCH_REQ_XCOMP_PERM */, kTileData = 18 };

hone_error_code hone_tiles_permit(hone_error* error) {
  const hone_cpu cpu = hone_cpu_read();
  char missing[16];
  if (hone_cpu_missing(&cpu, "amx-tile", missing, sizeof(missing)) != 0) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "the kernel uses the tiles of a matrix unit (amx-tile), which this CPU lacks; "
                     "compile it on this machine");
  }
  if (syscall(SYS_arch_prctl, kRequestComponent, kTileData) != 0) {
    return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                     "the kernel uses the tiles of a matrix unit (amx-tile), which the system does "
                     "not grant (%s); it takes Linux 5.16 and signal stacks of 16 KiB",
                     strerror(errno));
  }
  return HONE_OK;
}

/* What `ldtilecfg` reads. */
typedef struct TileConfig {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} TileConfig;
_Static_assert(sizeof(TileConfig) == 64, "the hardware reads 64 bytes");

void hone_tiles_configure(void) {
  TileConfig config = {.palette = 1};
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = 16;
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

#else

hone_error_code hone_tiles_permit(hone_error* error) {
  return hone_fail(error, HONE_ERROR_UNSUPPORTED,
                   "the kernel uses the tiles of a matrix unit (amx-tile), which this CPU lacks; "
                   "compile it on this machine");
}

void hone_tiles_configure(void) {}

#endif
