#include "runtime/elf_loader.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/kernel.h"
#include "runtime/thread_pool.h"

namespace {

using ::testing::HasSubstr;

std::string KernelPath(const std::string& name) {
  const char* folder = std::getenv("HONE_TEST_KERNELS_DIR");
  return std::string(folder != nullptr ? folder : ".") + "/" + name + ".so";
}

std::string KernelBytes(const std::string& name) {
  std::ifstream file(KernelPath(name), std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The error of loading `bytes`, or "" when they load.
std::string LoadError(const std::string& bytes) {
  hone_error error = {};
  hone_elf* elf = hone_elf_load(bytes.data(), bytes.size(), &error);
  hone_elf_unload(elf);
  return elf != nullptr ? "" : error.message;
}

TEST(ElfLoader, RunsAKernelFromBytesOfAnyAlignment) {
  std::string bytes = KernelBytes("saxpy");
  bytes.insert(bytes.begin(), 'x');
  hone_error error = {};
  hone_elf* elf = hone_elf_load(bytes.data() + 1, bytes.size() - 1, &error);
  ASSERT_NE(elf, nullptr) << error.message;
  auto prepare = reinterpret_cast<hone_kernel_fn>(hone_elf_function(elf, HONE_PREPARE_SYMBOL));
  auto run = reinterpret_cast<hone_kernel_fn>(hone_elf_function(elf, HONE_RUN_SYMBOL));
  ASSERT_NE(prepare, nullptr);
  ASSERT_NE(run, nullptr);

  hone_pool* pool = hone_pool_create(2, &error);
  ASSERT_NE(pool, nullptr) << error.message;
  float x[100], y[100] = {}, a = 1.5f, prepared = 0;
  for (int i = 0; i < 100; ++i) x[i] = static_cast<float>(i);
  void* buffers[] = {x, &a, y, &prepared};
  const int64_t count = 100;
  const hone_kernel_args args = {buffers, &count, nullptr, hone_pool_host(pool)};
  EXPECT_EQ(prepare(&args), 0);
  EXPECT_EQ(run(&args), 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(y[i], 3.0f * i);
  hone_pool_destroy(pool);
  hone_elf_unload(elf);
}

TEST(ElfLoader, LoadsFromAFile) {
  hone_error error = {};
  hone_elf* elf = hone_elf_load_file(KernelPath("saxpy").c_str(), &error);
  ASSERT_NE(elf, nullptr) << error.message;
  EXPECT_EQ(hone_elf_function(elf, "hone_nothing"), nullptr);
  hone_elf_unload(elf);
  EXPECT_EQ(hone_elf_load_file("/nonexistent/kernel.so", &error), nullptr);
  EXPECT_EQ(error.code, HONE_ERROR_IO);
  EXPECT_THAT(error.message, HasSubstr("/nonexistent/kernel.so"));
}

TEST(ElfLoader, RefusesWhatTheKernelRulesForbid) {
  EXPECT_THAT(LoadError(KernelBytes("undefined_symbol")), HasSubstr("'expf'"));
  EXPECT_THAT(LoadError(KernelBytes("writable_data")), HasSubstr("writable data"));
  EXPECT_THAT(LoadError(KernelBytes("relocation")), HasSubstr("relocations"));
}

TEST(ElfLoader, RefusesCodeOfAnotherMachine) {
  std::string bytes = KernelBytes("saxpy");
  bytes[18] = 0x15;  // e_machine: PowerPC
  EXPECT_THAT(LoadError(bytes), HasSubstr("another machine"));
}

TEST(ElfLoader, RefusesWhatIsNoElfFile) {
  EXPECT_THAT(LoadError(""), HasSubstr("truncated"));
  EXPECT_THAT(LoadError(std::string(4096, 'x')), HasSubstr("not an ELF file"));
}

TEST(ElfLoader, SurvivesTruncationAtEveryLength) {
  const std::string bytes = KernelBytes("saxpy");
  ASSERT_GT(bytes.size(), 1000u);
  for (size_t length = 0; length < bytes.size(); length += length < 1024 ? 1 : 37) {
    // A copy of exactly this size lets AddressSanitizer see a read beyond it.
    LoadError(std::string(bytes.data(), length));
  }
}

TEST(ElfLoader, SurvivesDamagedBytes) {
  const std::string bytes = KernelBytes("saxpy");
  ASSERT_GT(bytes.size(), 1024u);
  std::mt19937 random(20);
  const char interesting[] = {0, 1, 2, 0x7f, static_cast<char>(0x80), static_cast<char>(0xff)};
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = bytes;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      // Headers and the dynamic tables are at the ends of the file; hit both.
      const size_t where =
          random() % 2 == 0 ? random() % 1024 : bytes.size() - 1 - random() % (bytes.size() / 2);
      damaged[where] = random() % 2 == 0 ? interesting[random() % 6] : static_cast<char>(random());
    }
    hone_elf* elf = hone_elf_load(damaged.data(), damaged.size(), nullptr);
    if (elf != nullptr) hone_elf_function(elf, HONE_RUN_SYMBOL);
    refused += elf == nullptr;
    hone_elf_unload(elf);
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
