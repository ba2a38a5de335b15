#include "device_agent/measure/core_speed.h"

#include <algorithm>

#include "device_agent/measure/bandwidth.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/measuring_core.h"

namespace hone {

pb::CoreSpeed MeasureCoreSpeed(const Target& target) {
  const MeasuringCore core = MeasuringCore::ClaimForThisProcess();
  core.Enter();
  pb::CoreSpeed speed;
  // The fastest of a few milliseconds' worth of calibrations: the clock needs a moment to rise.
  double peak_gflops = 0;
  for (int i = 0; i < 200; ++i) peak_gflops = std::max(peak_gflops, hone_fma_gflops());
  speed.set_peak_gflops(peak_gflops);
  MeasureBandwidth(target, speed);
  core.Leave();
  return speed;
}

}  // namespace hone
