#include "device_agent/measure/guarded_buffer.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <cstdint>
#include <utility>

namespace hone {
namespace {

TEST(GuardedBufferTest, IsAlignedZeroedAndWritableToItsLastByte) {
  for (int64_t bytes : {0, 1, 63, 64, 4096, 5000, 3 << 20}) {
    GuardedBuffer buffer = GuardedBuffer::Allocate(bytes).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u) << bytes;
    for (int64_t i = 0; i < bytes; ++i) ASSERT_EQ(static_cast<char*>(buffer.data())[i], 0);
    buffer.Fill(0xff);
    EXPECT_TRUE(buffer.CanariesIntact()) << bytes;
  }
}

TEST(GuardedBufferTest, NoticesAByteWrittenBesideIt) {
  for (int64_t offset : {-1, -64, 100, 127}) {
    GuardedBuffer buffer = GuardedBuffer::Allocate(100).value();
    static_cast<char*>(buffer.data())[offset] = 0;
    EXPECT_FALSE(buffer.CanariesIntact()) << offset;
  }
}

TEST(GuardedBufferDeathTest, StopsWritesPastItsLastLineAndToReadOnlyMemory) {
  GuardedBuffer buffer = GuardedBuffer::Allocate(100).value();
  GuardedBuffer moved = std::move(buffer);
  volatile char* data = static_cast<char*>(moved.data());
  EXPECT_DEATH(data[128] = 1, "");
  moved.MakeReadOnly();
  EXPECT_EQ(data[0], 0);
  EXPECT_DEATH(data[0] = 1, "");
}

TEST(GuardedBufferTest, SaysWhenThereIsNoMemory) {
  EXPECT_EQ(GuardedBuffer::Allocate(int64_t{1} << 50).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace hone
