// How `hone` writes quantities for people: three digits that matter and a unit. Tables and progress
// use it; text forms that are read back never do (base/text_writer.h).
#pragma once

#include <cstdint>
#include <string>

namespace hone {

// "853 ns", "12.3 us", "1.24 ms", "3.50 s"; "-" when not positive (unknown).
std::string FormatNanos(double nanos);
// "0:07", "12:40", "3:05:00": a wait, in whole seconds.
std::string FormatWait(double seconds);
// "1.0 KiB", "44.7 MiB"
std::string FormatBytes(int64_t bytes);
// "187.3"; "-" when not positive.
std::string FormatGflops(double gflops);
// 0.953 -> "95.3 %"; "-" when not positive.
std::string FormatShare(double share);
// 2.446 -> "2.45x"; "-" when not positive.
std::string FormatRatio(double ratio);

}  // namespace hone
