#include "device_agent/measure/lasting_memory.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "device_agent/measure/guarded_buffer.h"

namespace hone {
namespace {

constexpr int64_t kPage = LastingMemory::kPageBytes;

// Some address space at a multiple of a page, for the test's whole life.
char* Reserve(size_t bytes) {
  void* reserved = mmap(nullptr, bytes + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* aligned = static_cast<char*>(reserved);
  return aligned + -reinterpret_cast<uintptr_t>(aligned) % kPage;
}

bool IsThere(LastingMemory memory) { return memory.MapNext(Reserve(kPage), kPage); }

class LastingMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!IsThere(LastingMemory::Create(kPage))) GTEST_SKIP() << "no huge pages to share here";
  }
};

TEST_F(LastingMemoryTest, NeverGivesAProcessAPageTwiceNorMoreThanThereIs) {
  LastingMemory memory = LastingMemory::Create(3 * kPage + 1);
  char* at = Reserve(4 * kPage);
  ASSERT_TRUE(memory.MapNext(at, 2 * kPage));
  ASSERT_TRUE(memory.MapNext(at + 2 * kPage, kPage));
  at[0] = 1;
  at[2 * kPage] = 2;
  EXPECT_EQ(at[0], 1);
  EXPECT_FALSE(memory.MapNext(at + 3 * kPage, kPage));
}

TEST_F(LastingMemoryTest, GivesEveryForkedProcessTheSamePages) {
  LastingMemory memory = LastingMemory::Create(kPage);
  for (char expected : {0, 1, 2}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      char* at = Reserve(kPage);
      const bool same = memory.MapNext(at, kPage) && at[kPage - 1] == expected;
      if (same) at[kPage - 1] = static_cast<char>(expected + 1);
      _exit(same ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "child " << int{expected};
  }
}

TEST_F(LastingMemoryTest, IsClearedByGivingItBack) {
  LastingMemory memory = LastingMemory::Create(kPage);
  char* at = Reserve(kPage);
  ASSERT_TRUE(memory.MapNext(at, kPage));
  at[5] = 1;
  memory.GiveBack();
  EXPECT_EQ(at[5], 0);
}

TEST_F(LastingMemoryTest, GuardedBuffersHideWhatAnotherLeftThere) {
  for (int64_t bytes : {3 << 20, (2 << 20) - 100}) {
    LastingMemory memory = LastingMemory::Create(2 * kPage);
    char* at = Reserve(2 * kPage);
    {
      const pid_t child = fork();
      if (child == 0) {
        if (memory.MapNext(at, 2 * kPage)) memset(at, 0x77, 2 * kPage);
        _exit(0);
      }
      ASSERT_EQ(waitpid(child, nullptr, 0), child);
    }
    GuardedBuffer buffer = GuardedBuffer::Allocate(bytes, &memory).value();
    const char* data = static_cast<const char*>(buffer.data());
    EXPECT_TRUE(std::all_of(data, data + bytes, [](char c) { return c == 0; })) << bytes;
    EXPECT_TRUE(buffer.CanariesIntact()) << bytes;
    buffer.Fill(0xff);
    EXPECT_TRUE(buffer.CanariesIntact()) << bytes;
    EXPECT_FALSE(memory.MapNext(at, 2 * kPage)) << "the buffer took it";
  }
}

using LastingMemoryDeathTest = LastingMemoryTest;

TEST_F(LastingMemoryDeathTest, GuardsBuffersOnBothSides) {
  LastingMemory memory = LastingMemory::Create(4 * kPage);
  const int64_t bytes = 3 << 20;
  GuardedBuffer buffer = GuardedBuffer::Allocate(bytes, &memory).value();
  volatile char* data = static_cast<char*>(buffer.data());
  EXPECT_DEATH(data[bytes] = 1, "");
  EXPECT_DEATH(data[-8192] = 1, "");
  buffer.MakeReadOnly();
  EXPECT_DEATH(data[0] = 1, "");
}

TEST(LastingMemoryLackingTest, IsDoneWithoutWhereThereIsNone) {
  LastingMemory memory = LastingMemory::Create(0);
  EXPECT_FALSE(memory.MapNext(Reserve(kPage), kPage));
  GuardedBuffer buffer = GuardedBuffer::Allocate(3 << 20, &memory).value();
  EXPECT_TRUE(buffer.CanariesIntact());
}

}  // namespace
}  // namespace hone
