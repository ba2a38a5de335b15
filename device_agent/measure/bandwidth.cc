#include "device_agent/measure/bandwidth.h"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "device_agent/measure/cache_flush.h"

namespace hone {
namespace {

constexpr int kVisits = 12;
constexpr double kVisitNs = 1e6;
// Emptying the caches of a line costs more than reading it; so many bytes are read in about 1 ms.
constexpr int64_t kMemoryBytes = int64_t{16} << 20;
// Places read at in turn: a core has more of its reads under way where several streams are fetched
// ahead of it.
constexpr int kStreams[] = {1, 2, 4, 8};
// A third cache is shared: a small part of it is hardly ever taken by others, and a core reads from
// it as fast as from all.
constexpr int64_t kProbeBytesMax = int64_t{8} << 20;
constexpr int64_t kStepBytes = 512;  // that a loop reads between two jumps
constexpr int64_t kHugePageBytes = int64_t{2} << 20;

// Reads `steps` times kStepBytes from an address that is a multiple of 64. All in assembly, since a
// compiler leaves out loads that nobody uses.
using ReadLoop = void (*)(const char* from, int64_t steps);

#if defined(__x86_64__)

void ReadAvx512(const char* from, int64_t steps) {
  __asm__ volatile(
      ".p2align 6\n"
      "1:\n\t"
      "vmovaps (%0), %%zmm0\n\tvmovaps 64(%0), %%zmm1\n\t"
      "vmovaps 128(%0), %%zmm2\n\tvmovaps 192(%0), %%zmm3\n\t"
      "vmovaps 256(%0), %%zmm4\n\tvmovaps 320(%0), %%zmm5\n\t"
      "vmovaps 384(%0), %%zmm6\n\tvmovaps 448(%0), %%zmm7\n\t"
      "add $512, %0\n\tdec %1\n\tjnz 1b\n\tvzeroupper"
      : "+r"(from), "+r"(steps)
      :
      : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

void ReadAvx(const char* from, int64_t steps) {
  __asm__ volatile(
      ".p2align 6\n"
      "1:\n\t"
      "vmovaps (%0), %%ymm0\n\tvmovaps 32(%0), %%ymm1\n\t"
      "vmovaps 64(%0), %%ymm2\n\tvmovaps 96(%0), %%ymm3\n\t"
      "vmovaps 128(%0), %%ymm4\n\tvmovaps 160(%0), %%ymm5\n\t"
      "vmovaps 192(%0), %%ymm6\n\tvmovaps 224(%0), %%ymm7\n\t"
      "vmovaps 256(%0), %%ymm0\n\tvmovaps 288(%0), %%ymm1\n\t"
      "vmovaps 320(%0), %%ymm2\n\tvmovaps 352(%0), %%ymm3\n\t"
      "vmovaps 384(%0), %%ymm4\n\tvmovaps 416(%0), %%ymm5\n\t"
      "vmovaps 448(%0), %%ymm6\n\tvmovaps 480(%0), %%ymm7\n\t"
      "add $512, %0\n\tdec %1\n\tjnz 1b\n\tvzeroupper"
      : "+r"(from), "+r"(steps)
      :
      : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

void ReadSse(const char* from, int64_t steps) {
  for (steps *= 4; steps > 0; --steps, from += 128) {
    __asm__ volatile(
        "movaps (%0), %%xmm0\n\tmovaps 16(%0), %%xmm1\n\t"
        "movaps 32(%0), %%xmm2\n\tmovaps 48(%0), %%xmm3\n\t"
        "movaps 64(%0), %%xmm4\n\tmovaps 80(%0), %%xmm5\n\t"
        "movaps 96(%0), %%xmm6\n\tmovaps 112(%0), %%xmm7"
        :
        : "r"(from)
        : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
  }
}

ReadLoop ChooseLoop() {
  if (__builtin_cpu_supports("avx512f")) return ReadAvx512;
  return __builtin_cpu_supports("avx") ? ReadAvx : ReadSse;
}

#elif defined(__aarch64__)

void ReadNeon(const char* from, int64_t steps) {
  for (steps *= 4; steps > 0; --steps, from += 128) {
    __asm__ volatile(
        "ldp q0, q1, [%0]\n\tldp q2, q3, [%0, #32]\n\t"
        "ldp q4, q5, [%0, #64]\n\tldp q6, q7, [%0, #96]"
        :
        : "r"(from)
        : "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7");
  }
}

ReadLoop ChooseLoop() { return ReadNeon; }

#else

void ReadWords(const char* from, int64_t steps) {
  const volatile auto* words = reinterpret_cast<const volatile uint32_t*>(from);
  for (int64_t i = 0; i < steps * kStepBytes / 4; i += 8) {
    words[i], words[i + 1], words[i + 2], words[i + 3];
    words[i + 4], words[i + 5], words[i + 6], words[i + 7];
  }
}

ReadLoop ChooseLoop() { return ReadWords; }

#endif

double NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Zeroed memory in pages as large as the system gives.
class Pages {
 public:
  explicit Pages(int64_t bytes) : bytes_(bytes + kHugePageBytes) {
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    mapped_ = static_cast<char*>(memory);
    madvise(mapped_, bytes_, MADV_HUGEPAGE);
    data_ = mapped_ + (-reinterpret_cast<uintptr_t>(mapped_) & (kHugePageBytes - 1));
    // Written to: pages that were only read are all one and the same.
    for (int64_t at = 0; at < bytes; at += 4096) data_[at] = 1;
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (mapped_ != nullptr) munmap(mapped_, bytes_);
  }

  const char* data() const { return data_; }  // null when there is no memory

 private:
  const size_t bytes_;
  char* mapped_ = nullptr;
  char* data_ = nullptr;
};

// Bytes a nanosecond, of so many bytes read over and over for a visit's time.
double ReadOverAndOver(ReadLoop read, const char* data, int64_t bytes) {
  const int64_t steps = bytes / kStepBytes;
  // Brings them into the cache, and says how often a visit can read them.
  read(data, steps);
  const double warm_ns = NowNs();
  read(data, steps);
  const double once_ns = std::max(1.0, NowNs() - warm_ns);
  const auto passes = static_cast<int64_t>(std::clamp(kVisitNs / once_ns, 1.0, 1e6));
  const double start_ns = NowNs();
  for (int64_t pass = 0; pass < passes; ++pass) read(data, steps);
  return static_cast<double>(passes * steps * kStepBytes) / (NowNs() - start_ns);
}

double ReadFromMemory(ReadLoop read, const char* data, int streams) {
  FlushFromCaches(data, kMemoryBytes);
  const int64_t part = kMemoryBytes / streams;
  const double start_ns = NowNs();
  if (streams == 1) {
    read(data, kMemoryBytes / kStepBytes);
  } else {
    for (int64_t at = 0; at < part; at += kStepBytes) {
      for (int stream = 0; stream < streams; ++stream) read(data + stream * part + at, 1);
    }
  }
  return static_cast<double>(kMemoryBytes) / (NowNs() - start_ns);
}

}  // namespace

int64_t ProbeBytes(int64_t cache_bytes, int64_t inner_bytes) {
  const int64_t bytes = std::min(cache_bytes / 2, kProbeBytesMax) / kStepBytes * kStepBytes;
  return bytes >= 2 * inner_bytes ? bytes : 0;
}

void MeasureBandwidth(const Target& target, pb::CoreSpeed& speed) {
  const int64_t l1_bytes = ProbeBytes(target.l1_bytes, 0);
  const int64_t l2_bytes = ProbeBytes(target.l2_bytes, target.l1_bytes);
  const int64_t l3_bytes = ProbeBytes(target.l3_bytes, target.l2_bytes);
  const Pages pages(std::max({l1_bytes, l2_bytes, l3_bytes, kMemoryBytes}));
  if (pages.data() == nullptr) return;
  const ReadLoop read = ChooseLoop();
  // In turns: who disturbs one visit of a cache does not disturb them all.
  double l1 = 0, l2 = 0, l3 = 0, memory = 0, stream = 0;
  for (int visit = 0; visit < kVisits; ++visit) {
    const auto visit_cache = [&](int64_t bytes, double& best) {
      if (bytes > 0) best = std::max(best, ReadOverAndOver(read, pages.data(), bytes));
    };
    visit_cache(l1_bytes, l1);
    visit_cache(l2_bytes, l2);
    visit_cache(l3_bytes, l3);
    if (CanFlushCaches()) {
      const int streams = kStreams[visit % std::size(kStreams)];
      const double gbps = ReadFromMemory(read, pages.data(), streams);
      memory = std::max(memory, gbps);
      if (streams == 1) stream = std::max(stream, gbps);
    }
  }
  speed.set_l1_gbps(l1);
  speed.set_l2_gbps(l2);
  speed.set_l3_gbps(l3);
  speed.set_memory_gbps(memory);
  speed.set_stream_gbps(stream);
}

}  // namespace hone
