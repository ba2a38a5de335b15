#include "device_agent/measure/guarded_buffer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

constexpr unsigned char kCanary = 0xC5;
constexpr size_t kHugePageBytes = LastingMemory::kPageBytes;

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Every order looks at them all, so by comparing each byte with the next, many at a time.
bool AllCanaries(const char* begin, const char* end) {
  if (begin == end) return true;
  return static_cast<unsigned char>(*begin) == kCanary &&
         memcmp(begin, begin + 1, static_cast<size_t>(end - begin) - 1) == 0;
}

// Has the system map all pages, zeroed.
void Populate(char* begin, size_t bytes, size_t page) {
  if (madvise(begin, bytes, MADV_POPULATE_WRITE) == 0) return;
  for (size_t at = 0; at < bytes; at += page) static_cast<volatile char*>(begin)[at] = 0;
}

}  // namespace

StatusOr<GuardedBuffer> GuardedBuffer::Allocate(int64_t bytes, LastingMemory* lasting,
                                                Sharing sharing) {
  HONE_CHECK(bytes >= 0);
  const auto no_memory = [bytes] {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", bytes, " bytes: ", strerror(errno)));
  };
  const size_t page = PageBytes();
  const size_t lines = RoundUp(static_cast<size_t>(bytes), HONE_ALIGNMENT);
  // At least a line of canaries before. A buffer that fills a good part of a huge page gets whole
  // ones: its end is one's end.
  const size_t inner = RoundUp(lines + HONE_ALIGNMENT, page);
  const bool is_huge = inner >= kHugePageBytes / 8;
  const size_t present = is_huge ? RoundUp(inner, kHugePageBytes) : inner;
  const size_t total = present + 2 * page + (is_huge ? kHugePageBytes : 0);
  const int kind = sharing == Sharing::kShared ? MAP_SHARED | MAP_NORESERVE : MAP_PRIVATE;
  void* mapping = mmap(nullptr, total, PROT_NONE, kind | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return no_memory();
  GuardedBuffer buffer;
  buffer.mapping_ = static_cast<char*>(mapping);
  buffer.mapping_bytes_ = total;
  char* begin = buffer.mapping_ + page;
  if (is_huge) begin += -reinterpret_cast<uintptr_t>(begin) % kHugePageBytes;
  buffer.end_ = begin + present;
  buffer.begin_ = buffer.end_ - inner;
  buffer.data_ = buffer.end_ - lines;
  buffer.bytes_ = bytes;
  const bool is_lasting = is_huge && lasting != nullptr && lasting->MapNext(begin, present);
  if (!is_lasting) {
    if (mprotect(begin, present, PROT_READ | PROT_WRITE) != 0) return no_memory();
    if (is_huge) madvise(begin, present, MADV_HUGEPAGE);
    Populate(begin, present, page);
  }
  // Only now, so that the first huge page came as one.
  if (is_huge && mprotect(begin, present - inner, PROT_NONE) != 0) return no_memory();
  if (is_lasting) {
    // The part of the first huge page that is used: reading brings many pages at a time.
    madvise(buffer.begin_, inner, MADV_POPULATE_READ);
    memset(buffer.begin_, 0, inner);  // what another batch left
  }
  memset(buffer.begin_, kCanary, static_cast<size_t>(buffer.data_ - buffer.begin_));
  memset(buffer.data_ + bytes, kCanary, lines - static_cast<size_t>(bytes));
  return buffer;
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept { *this = std::move(other); }

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(begin_, other.begin_);
  std::swap(data_, other.data_);
  std::swap(end_, other.end_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

void GuardedBuffer::MakeReadOnly() const {
  mprotect(begin_, static_cast<size_t>(end_ - begin_), PROT_READ);
}

void GuardedBuffer::MakePresent() const {
  const size_t bytes = static_cast<size_t>(end_ - begin_);
  // Writing first: memory that may only be read refuses it.
  if (madvise(begin_, bytes, MADV_POPULATE_WRITE) != 0) madvise(begin_, bytes, MADV_POPULATE_READ);
}

void GuardedBuffer::Fill(unsigned char byte) { memset(data_, byte, static_cast<size_t>(bytes_)); }

bool GuardedBuffer::CanariesIntact() const {
  return AllCanaries(begin_, data_) && AllCanaries(data_ + bytes_, end_);
}

}  // namespace hone
