#define _GNU_SOURCE
#include "device_agent/measure/calibration.h"

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Each loop keeps enough independent accumulators in registers to cover the latency of a
 * multiply-add (4 to 5 cycles, two a cycle). */

typedef double (*FlopLoop)(int64_t iterations); /* returns the operations done */

#if defined(__x86_64__)

/* Whole loops in assembly: a compiler may otherwise keep the accumulators in memory and halve the
 * rate. Multiplier and addend are zeroed registers, so that values stay finite and normal. */
static double LoopAvx512(int64_t iterations) {
  int64_t n = iterations;
  __asm__ volatile(
      "vpxord %%zmm30, %%zmm30, %%zmm30\n\t"
      "vpxord %%zmm31, %%zmm31, %%zmm31\n\t"
      ".p2align 6\n"
      "1:\n\t"
#define HONE_FMA(register) "vfmadd213ps %%zmm31, %%zmm30, %%zmm" #register "\n\t"
      HONE_FMA(0) HONE_FMA(1) HONE_FMA(2) HONE_FMA(3) HONE_FMA(4) HONE_FMA(5) HONE_FMA(6)
          HONE_FMA(7) HONE_FMA(8) HONE_FMA(9) HONE_FMA(10) HONE_FMA(11) HONE_FMA(12) HONE_FMA(13)
              HONE_FMA(14) HONE_FMA(15)
#undef HONE_FMA
                  "dec %0\n\t"
                  "jnz 1b\n\t"
                  "vzeroupper"
      : "+r"(n)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return (double)iterations * 16 * 16 * 2;
}

static double LoopAvx2(int64_t iterations) {
  int64_t n = iterations;
  __asm__ volatile(
      "vpxor %%xmm14, %%xmm14, %%xmm14\n\t"
      "vpxor %%xmm15, %%xmm15, %%xmm15\n\t"
      ".p2align 6\n"
      "1:\n\t"
#define HONE_FMA(register) "vfmadd213ps %%ymm15, %%ymm14, %%ymm" #register "\n\t"
      HONE_FMA(0) HONE_FMA(1) HONE_FMA(2) HONE_FMA(3) HONE_FMA(4) HONE_FMA(5) HONE_FMA(6)
          HONE_FMA(7) HONE_FMA(8) HONE_FMA(9) HONE_FMA(10) HONE_FMA(11)
#undef HONE_FMA
              "dec %0\n\t"
              "jnz 1b\n\t"
              "vzeroupper"
      : "+r"(n)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return (double)iterations * 12 * 8 * 2;
}

/* Multiplications and additions apart: what a core without FMA does at best. */
static double LoopBaseline(int64_t iterations) {
  const __m128 m = _mm_set1_ps(0.5f), b = _mm_set1_ps(1.0f);
  __m128 a[12];
  for (int i = 0; i < 12; ++i) a[i] = _mm_set1_ps((float)i);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) a[i] = i % 2 ? _mm_mul_ps(a[i], m) : _mm_add_ps(a[i], b);
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) __asm__ volatile("" : "+x"(a[i]));
    /* The products would sink into denormals. */
    if (n % 64 == 63) {
      for (int i = 1; i < 12; i += 2) a[i] = b;
    }
  }
  return (double)iterations * 12 * 4;
}

static FlopLoop ChooseLoop(int64_t* iterations) {
  if (__builtin_cpu_supports("avx512f")) {
    *iterations = 4000;
    return LoopAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    *iterations = 5600;
    return LoopAvx2;
  }
  *iterations = 5000;
  return LoopBaseline;
}

#elif defined(__aarch64__)

static double LoopNeon(int64_t iterations) {
  const float32x4_t m = vdupq_n_f32(0.5f);
  float32x4_t a[20];
  for (int i = 0; i < 20; ++i) a[i] = vdupq_n_f32((float)i);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 20
    for (int i = 0; i < 20; ++i) a[i] = vfmaq_f32(a[i], m, m);
#pragma GCC unroll 20
    for (int i = 0; i < 20; ++i) __asm__ volatile("" : "+w"(a[i]));
    if (n % 1024 == 1023) {
      for (int i = 0; i < 20; ++i) a[i] = m;
    }
  }
  return (double)iterations * 20 * 4 * 2;
}

static FlopLoop ChooseLoop(int64_t* iterations) {
  *iterations = 2000;
  return LoopNeon;
}

#else

static double LoopScalar(int64_t iterations) {
  float a[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int64_t n = 0; n < iterations; ++n) {
    for (int i = 0; i < 8; ++i) a[i] = a[i] * 0.5f + 1.0f;
    __asm__ volatile("" : : "r"(a) : "memory");
  }
  return (double)iterations * 8 * 2;
}

static FlopLoop ChooseLoop(int64_t* iterations) {
  *iterations = 1000;
  return LoopScalar;
}

#endif

static int64_t NowNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double hone_fma_gflops(void) {
  int64_t iterations;
  const FlopLoop loop = ChooseLoop(&iterations);
  double best = 0;
  for (int i = 0; i < 2; ++i) {
    const int64_t start = NowNs();
    const double flops = loop(iterations);
    const int64_t elapsed = NowNs() - start;
    const double gflops = flops / (double)(elapsed > 0 ? elapsed : 1);
    if (gflops > best) best = gflops;
  }
  return best;
}

bool hone_tile_is_fast(double tile_gflops, double fma_gflops) {
  const double times_fma = 16; /* in operations a cycle: 1024 of bf16, 64 of fp32 */
  /* The unit at work lowers the core's clock, by an eighth as seen. */
  return tile_gflops >= 0.85 * times_fma * fma_gflops;
}

#if defined(__x86_64__)

/* Operands with all bits in use: products of zeros take less power, and so run faster. */
static void LoadTiles(void) {
  static _Alignas(64) uint16_t values[2][512];
  if (values[0][0] == 0) {
    uint32_t state = 1;
    for (int i = 0; i < 1024; ++i) {
      state = state * 1664525u + 1013904223u;
      values[i / 512][i % 512] = (uint16_t)(0x3f80u | (state >> 25) | (state & 0x8000u));
    }
  }
  const int64_t row_bytes = 64;
  __asm__ volatile(
      "tileloadd (%0,%2,1), %%tmm4\n\t"
      "tileloadd (%1,%2,1), %%tmm5\n\t"
      "tilezero %%tmm0\n\t"
      "tilezero %%tmm1\n\t"
      "tilezero %%tmm2\n\t"
      "tilezero %%tmm3"
      :
      : "r"(values[0]), "r"(values[1]), "r"(row_bytes)
      : "memory");
}

static double LoopTiles(int64_t iterations) {
  int64_t n = iterations;
  __asm__ volatile(
      ".p2align 6\n"
      "1:\n\t"
      "tdpbf16ps %%tmm5, %%tmm4, %%tmm0\n\t"
      "tdpbf16ps %%tmm5, %%tmm4, %%tmm1\n\t"
      "tdpbf16ps %%tmm5, %%tmm4, %%tmm2\n\t"
      "tdpbf16ps %%tmm5, %%tmm4, %%tmm3\n\t"
      "dec %0\n\t"
      "jnz 1b"
      : "+r"(n)
      :
      : "cc");
  return (double)iterations * 4 * 16 * 16 * 32 * 2;
}

static double TileGflops(void) {
  const int64_t start = NowNs();
  const double flops = LoopTiles(400);
  const int64_t elapsed = NowNs() - start;
  return flops / (double)(elapsed > 0 ? elapsed : 1);
}

double hone_tile_gflops(void) {
  LoadTiles();
  return TileGflops();
}

void hone_tile_warm_up(int64_t most_ns) {
  const int64_t end = NowNs() + most_ns;
  const double fma_gflops = hone_fma_gflops();
  LoadTiles();
  while (!hone_tile_is_fast(TileGflops(), fma_gflops) && NowNs() < end) {
  }
}

#else

double hone_tile_gflops(void) { return 0; }

void hone_tile_warm_up(int64_t most_ns) { (void)most_ns; }

#endif
