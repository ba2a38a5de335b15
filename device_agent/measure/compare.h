// Are these the right numbers? Compares a kernel's output with the reference's, element by element,
// and with values the oracle computed in float64. Used by the agent's worker; runs no kernel.
#pragma once

#include <cstdint>
#include <string>

#include "proto/batch.pb.h"

namespace hone {

struct Comparison {
  // Largest |got - want| / (atol + rtol * |want|); infinity where one is NaN and the other is not.
  double max_error = 0;
  int64_t worst_element = -1;  // where that is; -1 when all are equal
  double got = 0;              // there
  double want = 0;             // there

  bool Right() const { return max_error <= 1; }
  // "element 17 is 3.5, expected 2.25 (error 12.1 of tolerance 1)"
  std::string ToString() const;
};

// `count` elements of type `dtype`, a name of runtime/dtype.h.
Comparison CompareBuffers(const char* dtype, const void* got, const void* want, int64_t count,
                          const pb::Tolerance& tolerance);

// One value against another by the same rule, worst so far kept in `worst`.
void CompareElement(double got, double want, int64_t element, const pb::Tolerance& tolerance,
                    Comparison& worst);

// An element as a double. 64-bit integers round.
double ElementAsDouble(const char* dtype, const void* data, int64_t element);

}  // namespace hone
