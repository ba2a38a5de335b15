#include "device_agent/measure/guarded_buffer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

constexpr unsigned char kCanary = 0xC5;
constexpr size_t kHugePageBytes = size_t{2} << 20;

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool AllCanaries(const char* begin, const char* end) {
  return std::all_of(begin, end, [](char c) { return static_cast<unsigned char>(c) == kCanary; });
}

}  // namespace

StatusOr<GuardedBuffer> GuardedBuffer::Allocate(int64_t bytes) {
  HONE_CHECK(bytes >= 0);
  const size_t page = PageBytes();
  const size_t lines = RoundUp(static_cast<size_t>(bytes), HONE_ALIGNMENT);
  const size_t inner = RoundUp(lines + HONE_ALIGNMENT, page);  // at least a line of canaries before
  const size_t total = inner + 2 * page;
  void* mapping = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", bytes, " bytes: ", strerror(errno)));
  GuardedBuffer buffer;
  buffer.mapping_ = static_cast<char*>(mapping);
  buffer.mapping_bytes_ = total;
  char* const inner_begin = buffer.mapping_ + page;
  buffer.data_ = inner_begin + inner - lines;
  buffer.bytes_ = bytes;
  if (mprotect(inner_begin, inner, PROT_READ | PROT_WRITE) != 0)
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", bytes, " bytes: ", strerror(errno)));
  if (inner >= kHugePageBytes) madvise(inner_begin, inner, MADV_HUGEPAGE);
  memset(inner_begin, kCanary, static_cast<size_t>(buffer.data_ - inner_begin));
  memset(buffer.data_, 0, static_cast<size_t>(bytes));
  memset(buffer.data_ + bytes, kCanary, lines - static_cast<size_t>(bytes));
  return buffer;
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept { *this = std::move(other); }

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

void GuardedBuffer::MakeReadOnly() {
  const size_t page = PageBytes();
  mprotect(mapping_ + page, mapping_bytes_ - 2 * page, PROT_READ);
}

void GuardedBuffer::Fill(unsigned char byte) { memset(data_, byte, static_cast<size_t>(bytes_)); }

bool GuardedBuffer::CanariesIntact() const {
  const size_t page = PageBytes();
  return AllCanaries(mapping_ + page, data_) &&
         AllCanaries(data_ + bytes_, mapping_ + mapping_bytes_ - page);
}

}  // namespace hone
