// The machine that tests compile for where any with vectors will do: AVX2, as every machine that
// runs them has.
#pragma once

#include "base/target.h"

namespace hone {

inline Target Avx2Target(int threads = 1) {
  Target target = *Target::Parse(
      "target/1 x86_64 cpu=x86-64-v3 features=avx,avx2,bmi,bmi2,f16c,fma,sse4.1,sse4.2 l1=32768 "
      "l2=524288 l3=0 cores=2 threads=1");
  target.threads = threads;
  return target;
}

}  // namespace hone
