#include "runtime/fill.h"

#include <string.h>

/* Everything is integer arithmetic and one IEEE multiplication, so no library and no compiler flag
 * can change a bit. */

/* The finaliser of splitmix64: every input bit flips each output bit with probability 1/2. */
static uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  x ^= x >> 31;
  return x;
}

static uint64_t StreamStart(uint64_t seed, uint32_t buffer_index) {
  return Mix(Mix(seed + 0x9e3779b97f4a7c15u) ^ ((uint64_t)buffer_index << 32 | 0x6a09e667u));
}

static uint64_t At(uint64_t start, int64_t i) {
  return Mix(start + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u);
}

/* Four 16-bit lanes summed and centred: an even integer of deviation 2 * 65536 / sqrt(3). */
static int32_t Centred(uint64_t h) {
  uint32_t sum = (uint32_t)(h & 0xffff) + (uint32_t)(h >> 16 & 0xffff) +
                 (uint32_t)(h >> 32 & 0xffff) + (uint32_t)(h >> 48);
  return (int32_t)(2 * sum) - 4 * 65535;
}

static float NormalF32(uint64_t h) { return (float)Centred(h) * 0x1.bb67aep-17f; }
static double NormalF64(uint64_t h) { return (double)Centred(h) * 0x1.bb67ae8584caap-17; }

static uint32_t Bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/* Round to nearest even. Values here are 0 or between 2^-17 and 4 in size, so only the normal and
 * the denormal case of f16 can occur. */
static uint16_t F16(float value) {
  uint32_t bits = Bits(value);
  uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude == 0) return (uint16_t)sign;
  int exponent = (int)(magnitude >> 23) - 127;
  uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
  int shift = exponent < -14 ? 13 + (-14 - exponent) : 13;
  uint32_t kept = mantissa >> shift;
  uint32_t rest = mantissa & ((1u << shift) - 1);
  uint32_t half = 1u << (shift - 1);
  if (rest > half || (rest == half && (kept & 1))) ++kept;
  /* `kept` still has the leading 1 at bit 10 when normal, which the addition turns into +1 of the
   * exponent; a carry out of the mantissa does the right thing by itself. */
  uint32_t base = exponent < -14 ? 0 : (uint32_t)(exponent + 14) << 10;
  return (uint16_t)(sign | (base + kept));
}

static uint16_t BF16(float value) {
  uint32_t bits = Bits(value);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int64_t SmallSigned(uint64_t h) { return (int64_t)((h >> 32) % 17) - 8; }
static uint64_t SmallUnsigned(uint64_t h) { return h >> 60; }

#define FILL(type, value)                                                      \
  do {                                                                         \
    for (int64_t i = 0; i < count; ++i) {                                      \
      uint64_t h = At(start, i);                                               \
      type element = (type)(value);                                            \
      memcpy((char*)data + i * (int64_t)sizeof(type), &element, sizeof(type)); \
    }                                                                          \
    return 0;                                                                  \
  } while (0)

int hone_fill(void* data, int64_t count, const char* dtype, uint64_t seed, uint32_t buffer_index) {
  const uint64_t start = StreamStart(seed, buffer_index);
  if (strcmp(dtype, "f32") == 0) FILL(float, NormalF32(h));
  if (strcmp(dtype, "f64") == 0) FILL(double, NormalF64(h));
  if (strcmp(dtype, "f16") == 0) FILL(uint16_t, F16(NormalF32(h)));
  if (strcmp(dtype, "bf16") == 0) FILL(uint16_t, BF16(NormalF32(h)));
  if (strcmp(dtype, "i8") == 0) FILL(int8_t, SmallSigned(h));
  if (strcmp(dtype, "i16") == 0) FILL(int16_t, SmallSigned(h));
  if (strcmp(dtype, "i32") == 0) FILL(int32_t, SmallSigned(h));
  if (strcmp(dtype, "i64") == 0) FILL(int64_t, SmallSigned(h));
  if (strcmp(dtype, "u8") == 0) FILL(uint8_t, SmallUnsigned(h));
  if (strcmp(dtype, "u16") == 0) FILL(uint16_t, SmallUnsigned(h));
  if (strcmp(dtype, "u32") == 0) FILL(uint32_t, SmallUnsigned(h));
  if (strcmp(dtype, "u64") == 0) FILL(uint64_t, SmallUnsigned(h));
  if (strcmp(dtype, "bool") == 0) FILL(uint8_t, h >> 63);
  return -1;
}
