#include "runtime/tile_state.h"

#include <atomic>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/cpu_features.h"
#include "runtime/thread_pool.h"

namespace {

bool HasTiles() {
  const hone_cpu cpu = hone_cpu_read();
  char missing[16];
  return hone_cpu_missing(&cpu, "amx-tile", missing, sizeof(missing)) == 0;
}

TEST(TileState, IsRefusedInOneLineWhereThereIsNone) {
  if (HasTiles()) GTEST_SKIP() << "this CPU has a matrix unit";
  hone_error error = {};
  EXPECT_EQ(hone_tiles_permit(&error), HONE_ERROR_UNSUPPORTED);
  EXPECT_THAT(std::string(error.message), testing::HasSubstr("(amx-tile), which this CPU lacks"));
  hone_pool* pool = hone_pool_create(2, nullptr);
  EXPECT_EQ(hone_pool_use_tiles(pool, &error), HONE_ERROR_UNSUPPORTED);
  hone_pool_destroy(pool);
}

TEST(TileState, IsThereOnEveryThreadOfAPoolThatUsesIt) {
  if (!HasTiles()) GTEST_SKIP() << "this CPU has no matrix unit";
  hone_pool* pool = hone_pool_create(3, nullptr);
  hone_error error = {};
  ASSERT_EQ(hone_pool_use_tiles(pool, &error), HONE_OK) << error.message;
  std::atomic<int> configured = 0;
  const auto body = [](const void* context, int64_t begin, int64_t end, int64_t) {
    unsigned char config[64] = {};
#if defined(__x86_64__)
    __asm__ volatile("sttilecfg %0" : "=m"(config));
#endif
    // Palette 1; 64 bytes a row of the last tile, 16 rows.
    const bool right = config[0] == 1 && config[16 + 2 * 7] == 64 && config[48 + 7] == 16;
    auto* count = static_cast<std::atomic<int>*>(const_cast<void*>(context));
    if (right) count->fetch_add(static_cast<int>(end - begin));
  };
  hone_pool_host(pool)->parallel_for(hone_pool_host(pool), 100, body, &configured);
  EXPECT_EQ(configured.load(), 100);
  hone_pool_destroy(pool);
}

}  // namespace
