#include "device_agent/measure/cache_flush.h"

#include <gtest/gtest.h>

#include <vector>

#include "device_agent/measure/guarded_buffer.h"

namespace hone {
namespace {

// That memory is far afterwards shows in times only; here, that its contents stay.
TEST(CacheFlushTest, LeavesMemoryAsItIs) {
  for (int64_t bytes : {0, 1, 64, 1000, 100000}) {
    GuardedBuffer buffer = GuardedBuffer::Allocate(bytes).value();
    buffer.Fill(7);
    FlushFromCaches(buffer.data(), bytes);
    const auto* data = static_cast<const unsigned char*>(buffer.data());
    for (int64_t i = 0; i < bytes; ++i) ASSERT_EQ(data[i], 7);
    EXPECT_TRUE(buffer.CanariesIntact());
  }
}

TEST(CacheFlushTest, WorksOnMemoryThatMustNotBeWritten) {
  GuardedBuffer buffer = GuardedBuffer::Allocate(5000).value();
  buffer.MakeReadOnly();
  FlushFromCaches(buffer.data(), buffer.bytes());
  EXPECT_TRUE(buffer.CanariesIntact());
}

}  // namespace
}  // namespace hone
