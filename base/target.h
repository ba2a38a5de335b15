// Target, one of the five nouns: the hardware that code is made for, as far as code depends on it.
// The compiler reads it to choose instructions and tiles, records are keyed by it, the tracker
// matches it. An immutable value with one text form; never says where a device is or who owns it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// By how much a matrix unit may be slowed that others on the machine hold back with the power they
// take.
inline constexpr double kTileSlowdownMost = 4.5;

struct Target {
  std::string arch = "x86_64";        // as `uname -m` says it
  std::string cpu = "x86-64";         // LLVM's name of the core; a tuning hint only
  std::vector<std::string> features;  // LLVM's names, sorted, without '+': "avx2", "fma"
  int64_t l1_bytes = 32 << 10;        // data cache of one core
  int64_t l2_bytes = 512 << 10;       // of one core
  int64_t l3_bytes = 0;               // shared; 0 where there is none
  int cores = 1;                      // that the machine has
  int threads = 1;                    // that a kernel may use

  bool HasFeature(absl::string_view feature) const;
  // Width in bits of the widest vector register that arithmetic uses: 512, 256, 128.
  int VectorBits() const;
  // How many of those registers there are: 32 or 16.
  int VectorRegisters() const;
  // f32 values a vector register holds.
  int FloatLanes() const { return VectorBits() / 32; }

  // target/1 x86_64 cpu=znver3 features=avx2,fma l1=32768 l2=524288 l3=33554432 cores=2 threads=1
  std::string ToString() const;
  static StatusOr<Target> Parse(absl::string_view text);

  friend bool operator==(const Target&, const Target&) = default;
};

}  // namespace hone
