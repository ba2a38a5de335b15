// Lines of other tuners' logs, and their files of modules, as anybody may hand them in: each gives
// a cost of a workload that hone can read, or a reason.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/check.h"
#include "compiler/ir/workload.h"
#include "tuner/transfer/foreign_log.h"

// The first line is a module, the rest a record.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t newline = text.find('\n');
  const hone::ForeignLog log({text.substr(0, newline)});
  const std::string line = newline == std::string::npos ? text : text.substr(newline + 1);
  const hone::ForeignLine read = log.Read(line);
  if (const auto* reject = std::get_if<hone::ForeignReject>(&read)) {
    HONE_CHECK(!reject->reason.empty() && reject->reason.size() < 100);
    return 0;
  }
  const auto& cost = std::get<hone::ForeignCost>(read);
  HONE_CHECK(std::isfinite(cost.cost_ns) && cost.cost_ns > 0);
  HONE_CHECK(hone::Workload::Parse(cost.workload).ok()) << cost.workload;
  return 0;
}
