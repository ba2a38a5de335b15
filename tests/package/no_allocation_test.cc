// The linker sends this program's calls of malloc and its kin to the __wrap_ functions below.
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/hone.h"
#include "tests/package/tiny_model.h"

namespace {
std::atomic<int> allocations = 0;
}

extern "C" {
void* __real_malloc(size_t bytes);
void* __real_calloc(size_t count, size_t bytes);
void* __real_realloc(void* memory, size_t bytes);
int __real_posix_memalign(void** memory, size_t alignment, size_t bytes);
void* __real_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset);

void* __wrap_malloc(size_t bytes) {
  ++allocations;
  return __real_malloc(bytes);
}
void* __wrap_calloc(size_t count, size_t bytes) {
  ++allocations;
  return __real_calloc(count, bytes);
}
void* __wrap_realloc(void* memory, size_t bytes) {
  ++allocations;
  return __real_realloc(memory, bytes);
}
int __wrap_posix_memalign(void** memory, size_t alignment, size_t bytes) {
  ++allocations;
  return __real_posix_memalign(memory, alignment, bytes);
}
void* __wrap_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  ++allocations;
  return __real_mmap(address, bytes, protection, flags, fd, offset);
}
}

namespace hone {
namespace {

TEST(RunModel, AllocatesNothing) {
  const TemporaryFile file("allocates.so", TinyModel());
  const hone_model_options options = {.threads = 2, .profile = 1};
  hone_error error = {};
  hone_model* model = hone_model_load(file.path().c_str(), &options, &error);
  ASSERT_NE(model, nullptr) << error.message;
  EXPECT_GT(allocations.load(), 0);  // the wrapping works

  const std::vector<float> x(32, 1.0f);
  std::vector<float> y(32);
  allocations = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(hone_model_set_input(model, 0, x.data(), 128, &error), HONE_OK);
    EXPECT_EQ(hone_model_run(model, &error), HONE_OK);
    EXPECT_EQ(hone_model_get_output(model, 0, y.data(), 128, &error), HONE_OK);
  }
  EXPECT_EQ(allocations.load(), 0);
  EXPECT_EQ(y[31], 12);
  hone_model_free(model);
}

}  // namespace
}  // namespace hone
