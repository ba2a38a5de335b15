#include "cli/farm_report.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/target.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "rpc/build_key.h"

namespace hone {
namespace {

std::string Fact(const pb::DeviceInfo& device, const std::string& name) {
  auto fact = device.facts().find(name);
  return fact == device.facts().end() ? "" : fact->second;
}

// "207, 104, 79, 24"; "-" for what the device has not measured.
std::string Bandwidths(const pb::CoreSpeed& speed) {
  std::vector<std::string> cells;
  for (double gbps : {speed.l1_gbps(), speed.l2_gbps(), speed.l3_gbps(), speed.memory_gbps()}) {
    cells.push_back(gbps > 0 ? absl::StrFormat("%.0f", gbps) : "-");
  }
  return absl::StrJoin(cells, ", ");
}

// "READY", or "QUARANTINED: too noisy"
std::string State(const pb::DeviceInfo& device) {
  std::string state = absl::AsciiStrToLower(pb::DeviceState_Name(device.state()));
  if (!device.reason().empty()) absl::StrAppend(&state, ": ", device.reason());
  return state;
}

}  // namespace

std::string FarmReport(const FarmStatus& status, int64_t now_unix_ms, int width) {
  Table table({{"device"},
               {"state"},
               {"cpu"},
               {"cores", Align::kRight},
               {"vector", Align::kRight},
               {"peak GFLOP/s", Align::kRight},
               {"L1, L2, L3, memory GB/s", Align::kRight},
               {"seen", Align::kRight},
               {"os"}});
  for (const pb::DeviceInfo& device : status.devices) {
    StatusOr<Target> target = Target::Parse(device.target());
    table.AddRow(
        {device.name(), State(device), target.ok() ? target->cpu : "?",
         target.ok() ? absl::StrCat(target->cores) : "?",
         target.ok() ? absl::StrCat(target->VectorBits(), " bit") : "?",
         FormatGflops(device.speed().peak_gflops()), Bandwidths(device.speed()),
         FormatWait(static_cast<double>(now_unix_ms - device.last_seen_unix_ms()) / 1000) + " ago",
         Fact(device, "os")});
  }
  std::string queue = absl::StrCat(status.queued_batches, " batches waiting, ",
                                   status.running_batches, " running.");
  if (status.devices.empty()) {
    return absl::StrCat("no devices. ", queue,
                        " Next: start hone-agent on a device and point it at this tracker\n");
  }
  return absl::StrCat(table.Render(width), "\n", queue,
                      " Next: hone tune MODEL.onnx --tracker ADDRESS\n");
}

std::string BuildersReport(const pb::ListBuildersReply& builders, const pb::CompilerVersion& mine,
                           int width) {
  if (builders.builders().empty()) return "";
  Table table({{"builder"},
               {"state"},
               {"builds at a time", Align::kRight},
               {"has", Align::kRight},
               {"version"}});
  for (const pb::BuilderInfo& builder : builders.builders()) {
    const bool same = IsSameVersion(builder.version(), mine);
    table.AddRow({builder.name(),
                  same ? builder.building() > 0 ? "busy" : "ready"
                       : absl::StrCat("not used: you have ", VersionText(mine)),
                  absl::StrCat(builder.capacity()), absl::StrCat(builder.building()),
                  VersionText(builder.version())});
  }
  return absl::StrCat("\n", table.Render(width), "\n", builders.queued_builds(),
                      " builds waiting.\n");
}

}  // namespace hone
