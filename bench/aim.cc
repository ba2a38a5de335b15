#include "bench/aim.h"

#include <cstdio>
#include <string>

namespace hone {

void PrintAim(absl::string_view name, double measured, double target, Better better) {
  const bool ok = better == Better::kMore ? measured >= target : measured <= target;
  std::printf("aim %s measured %.4g target %.4g %s\n", std::string(name).c_str(), measured, target,
              ok ? "ok" : "short");
  std::fflush(stdout);
}

}  // namespace hone
