// What tests tune where nothing is measured: products of square matrices, made-up times of their
// schedules for FakeMeasurer, and a clock.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "tuner/tuning_session.h"

namespace hone {

// Every look takes a millisecond.
class FakeClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return now_ns_ += 1000000; }
  int64_t UnixMillis() const override { return 0; }

 private:
  mutable int64_t now_ns_ = 0;
};

// A product of two matrices of `size` by `size`, which a model calls `calls` times.
inline TuningTask Matmul(const std::string& name, int size, int calls = 1) {
  TuningTask task;
  task.name = name;
  const std::string n = absl::StrCat(size);
  const std::string shape = absl::StrCat("[", n, ",", n, "]");
  task.workload = *Workload::Parse(
      absl::StrCat("workload/1\ninput x f32 ", shape, "\nconstant w f32 ", shape, "\noutput y f32 ",
                   shape, "\nstage y f32 [m:", n, ",n:", n, "] sum [k:", n, "] = x[m,k]*w[k,n]\n"));
  task.layouts.assign(3, Layout::Identity(2));
  task.calls = calls;
  return task;
}

// Nanoseconds by what the schedule says; no two schedules of different length take the same.
inline double Cost(const std::string& schedule) {
  double cost = 5e6;
  if (schedule.find("tile y.a k 4\n") != std::string::npos) cost *= 0.8;
  if (schedule.find("tile y n 16 by 8\n") != std::string::npos) cost *= 0.5;
  return cost + static_cast<double>(schedule.size());
}

}  // namespace hone
