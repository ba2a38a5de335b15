#include "runtime/cpu_features.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* x86: registers of CPUID's leaves, and XCR0, the registers that the system saves. */
enum { LEAF1_ECX, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX, LEAF7_1_EAX, EXTENDED1_ECX, XCR0 };
/* AArch64: Linux's auxiliary vector. */
enum { HWCAP, HWCAP2 };

#define NO_STATE 0
#define YMM_STATE 0x6
#define ZMM_STATE 0xe6
#define TILE_STATE 0x60000

#define OSXSAVE_BIT 27

typedef struct Feature {
  const char* name;
  uint8_t word;
  uint8_t bit;
  uint32_t state; /* bits of XCR0 that must be set */
} Feature;

/* Sorted by name. Features that no code we generate depends on are left out. */
static const Feature kX86Features[] = {
    {"amx-bf16", LEAF7_EDX, 22, TILE_STATE},
    {"amx-fp16", LEAF7_1_EAX, 21, TILE_STATE},
    {"amx-int8", LEAF7_EDX, 25, TILE_STATE},
    {"amx-tile", LEAF7_EDX, 24, TILE_STATE},
    {"avx", LEAF1_ECX, 28, YMM_STATE},
    {"avx2", LEAF7_EBX, 5, YMM_STATE},
    {"avx512bf16", LEAF7_1_EAX, 5, ZMM_STATE},
    {"avx512bitalg", LEAF7_ECX, 12, ZMM_STATE},
    {"avx512bw", LEAF7_EBX, 30, ZMM_STATE},
    {"avx512cd", LEAF7_EBX, 28, ZMM_STATE},
    {"avx512dq", LEAF7_EBX, 17, ZMM_STATE},
    {"avx512f", LEAF7_EBX, 16, ZMM_STATE},
    {"avx512fp16", LEAF7_EDX, 23, ZMM_STATE},
    {"avx512ifma", LEAF7_EBX, 21, ZMM_STATE},
    {"avx512vbmi", LEAF7_ECX, 1, ZMM_STATE},
    {"avx512vbmi2", LEAF7_ECX, 6, ZMM_STATE},
    {"avx512vl", LEAF7_EBX, 31, ZMM_STATE},
    {"avx512vnni", LEAF7_ECX, 11, ZMM_STATE},
    {"avx512vpopcntdq", LEAF7_ECX, 14, ZMM_STATE},
    {"avxvnni", LEAF7_1_EAX, 4, YMM_STATE},
    {"bmi", LEAF7_EBX, 3, NO_STATE},
    {"bmi2", LEAF7_EBX, 8, NO_STATE},
    {"f16c", LEAF1_ECX, 29, YMM_STATE},
    {"fma", LEAF1_ECX, 12, YMM_STATE},
    {"lzcnt", EXTENDED1_ECX, 5, NO_STATE},
    {"movbe", LEAF1_ECX, 22, NO_STATE},
    {"popcnt", LEAF1_ECX, 23, NO_STATE},
    {"sse3", LEAF1_ECX, 0, NO_STATE},
    {"sse4.1", LEAF1_ECX, 19, NO_STATE},
    {"sse4.2", LEAF1_ECX, 20, NO_STATE},
    {"ssse3", LEAF1_ECX, 9, NO_STATE},
};

static const Feature kAarch64Features[] = {
    {"bf16", HWCAP2, 14, NO_STATE},    {"dotprod", HWCAP, 20, NO_STATE},
    {"fullfp16", HWCAP, 10, NO_STATE}, {"i8mm", HWCAP2, 13, NO_STATE},
    {"neon", HWCAP, 1, NO_STATE},      {"sve", HWCAP, 22, NO_STATE},
    {"sve2", HWCAP2, 1, NO_STATE},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static int Features(hone_cpu_arch arch, const Feature** features) {
  switch (arch) {
    case HONE_CPU_X86_64:
      *features = kX86Features;
      return COUNT(kX86Features);
    case HONE_CPU_AARCH64:
      *features = kAarch64Features;
      return COUNT(kAarch64Features);
    default:
      *features = NULL;
      return 0;
  }
}

static bool Has(const hone_cpu* cpu, const Feature* feature) {
  const uint64_t saved = cpu->arch == HONE_CPU_X86_64 ? cpu->words[XCR0] : 0;
  return (cpu->words[feature->word] >> feature->bit & 1) != 0 &&
         (saved & feature->state) == feature->state;
}

#if defined(__x86_64__)
static void ReadWords(hone_cpu* cpu) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  cpu->arch = HONE_CPU_X86_64;
  if (__get_cpuid(1, &a, &b, &c, &d)) cpu->words[LEAF1_ECX] = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    cpu->words[LEAF7_EBX] = b;
    cpu->words[LEAF7_ECX] = c;
    cpu->words[LEAF7_EDX] = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) cpu->words[LEAF7_1_EAX] = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) cpu->words[EXTENDED1_ECX] = c;
  if (cpu->words[LEAF1_ECX] >> OSXSAVE_BIT & 1) {
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    cpu->words[XCR0] = (uint64_t)d << 32 | a;
  }
}
#elif defined(__aarch64__)
static void ReadWords(hone_cpu* cpu) {
  cpu->arch = HONE_CPU_AARCH64;
  cpu->words[HWCAP] = getauxval(AT_HWCAP);
  cpu->words[HWCAP2] = getauxval(AT_HWCAP2);
}
#else
static void ReadWords(hone_cpu* cpu) { cpu->arch = HONE_CPU_OTHER; }
#endif

hone_cpu hone_cpu_read(void) {
  hone_cpu cpu;
  memset(&cpu, 0, sizeof(cpu));
  ReadWords(&cpu);
  return cpu;
}

int hone_cpu_feature(const hone_cpu* cpu, int index, const char** name) {
  const Feature* features = NULL;
  const int count = Features(cpu->arch, &features);
  for (int i = 0; i < count; ++i) {
    if (!Has(cpu, &features[i]) || index-- > 0) continue;
    *name = features[i].name;
    return 1;
  }
  return 0;
}

static bool HasNamed(const hone_cpu* cpu, const char* name, size_t length) {
  const Feature* features = NULL;
  const int count = Features(cpu->arch, &features);
  for (int i = 0; i < count; ++i) {
    if (strlen(features[i].name) == length && memcmp(features[i].name, name, length) == 0) {
      return Has(cpu, &features[i]);
    }
  }
  return false;
}

int hone_cpu_missing(const hone_cpu* cpu, const char* needed, char* missing, size_t size) {
  int count = 0;
  size_t used = 0;
  if (size > 0) missing[0] = '\0';
  while (*needed != '\0') {
    const size_t length = strcspn(needed, ",");
    if (length > 0 && !HasNamed(cpu, needed, length)) {
      const size_t comma = count++ > 0 ? 1 : 0;
      if (used + comma + length < size) {
        if (comma != 0) missing[used++] = ',';
        memcpy(missing + used, needed, length);
        used += length;
        missing[used] = '\0';
      }
    }
    needed += length + (needed[length] == ',' ? 1 : 0);
  }
  return count;
}
