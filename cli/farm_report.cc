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

std::string State(const pb::DeviceInfo& device) {
  if (device.state() == pb::DEVICE_STATE_UNSPECIFIED) return "unknown";
  return absl::AsciiStrToLower(pb::DeviceState_Name(device.state()));
}

std::string Advice(const pb::FarmSnapshot& farm) {
  std::string text;
  for (const pb::DeviceEntry& entry : farm.devices()) {
    if (entry.next_step().empty()) continue;
    absl::StrAppend(&text, text.empty() ? "What to do\n" : "", "  ", entry.info().name(), ": ",
                    entry.next_step(), "\n");
  }
  return text.empty() ? "" : text + "\n";
}

}  // namespace

std::string FarmReport(const pb::FarmSnapshot& farm, int width) {
  Table table({{"device"},
               {"state"},
               {"since", Align::kRight},
               {"why"},
               {"cpu"},
               {"cores", Align::kRight},
               {"vector", Align::kRight},
               {"peak GFLOP/s", Align::kRight},
               {"L1, L2, L3, memory GB/s", Align::kRight},
               {"os"}});
  for (const pb::DeviceEntry& entry : farm.devices()) {
    const pb::DeviceInfo& device = entry.info();
    StatusOr<Target> target = Target::Parse(device.target());
    const double since_s = static_cast<double>(farm.unix_ms() - entry.since_unix_ms()) / 1000;
    table.AddRow({device.name(), State(device),
                  entry.since_unix_ms() > 0 ? FormatWait(since_s) : "-", entry.why(),
                  target.ok() ? target->cpu : "?", target.ok() ? absl::StrCat(target->cores) : "?",
                  target.ok() ? absl::StrCat(target->VectorBits(), " bit") : "?",
                  FormatGflops(device.speed().peak_gflops()), Bandwidths(device.speed()),
                  Fact(device, "os")});
  }
  std::string queue = absl::StrCat(farm.queued_batches(), " batches waiting, ",
                                   farm.running_batches(), " running.");
  const pb::FarmTotals& totals = farm.totals();
  if (const int64_t saved = totals.blob_bytes_named() - totals.blob_bytes_received(); saved > 0) {
    absl::StrAppend(&queue, " Of ", FormatBytes(totals.blob_bytes_named()),
                    " of code that batches named, ", FormatBytes(saved),
                    " did not have to be sent again.");
  }
  if (!farm.tracker().serving() && !farm.tracker().trouble().empty()) {
    queue = absl::StrCat("The tracker takes no work: ", farm.tracker().trouble(), "\n", queue);
  }
  if (farm.devices().empty()) {
    return absl::StrCat("no devices. ", queue,
                        " Next: start hone-agent on a device and point it at this tracker\n");
  }
  return absl::StrCat(table.Render(width), "\n", Advice(farm), queue,
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
