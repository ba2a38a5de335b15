#include "cli/devices_command.h"

#include <cstdlib>
#include <memory>

#include "cli/default_paths.h"
#include "cli/farm_report.h"
#include "compiler/compile.h"
#include "rpc/build_client.h"
#include "rpc/farm_client.h"

namespace hone {
namespace {

constexpr int kDevicesMax = 20'000;

struct DevicesOptions {
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
};

StatusOr<ExitCode> Run(const DevicesOptions& options, const Console& console) {
  if (options.tracker.empty()) {
    return absl::InvalidArgumentError(
        "no tracker named; give --tracker ADDRESS or set HONE_TRACKER (hone tune needs none: "
        "without one it measures on this machine)");
  }
  HONE_ASSIGN_OR_RETURN(
      auto client,
      FarmClient::Connect({.tracker = options.tracker,
                           .tls_dir = TlsDirFor(options.tracker, options.tls_dir, std::getenv)}));
  pb::SnapshotRequest request;
  request.set_devices_max(kDevicesMax);
  HONE_ASSIGN_OR_RETURN(const pb::FarmSnapshot farm, client->Snapshot(request));
  console.out << FarmReport(farm, console.out_is_tty ? console.width : 0);
  BuildClientOptions builders = {
      .tracker = options.tracker,
      .tls_dir = TlsDirFor(options.tracker, options.tls_dir, std::getenv)};
  builders.version.set_tool_version(HONE_VERSION);
  builders.version.set_codegen_epoch(kCodegenEpoch);
  HONE_ASSIGN_OR_RETURN(const auto builds, BuildClient::Connect(builders, nullptr));
  // A tracker of before there were builders has none.
  if (const auto list = builds->ListBuilders(); list.ok()) {
    console.out << BuildersReport(*list, builders.version, console.out_is_tty ? console.width : 0);
  }
  return ExitCode::kOk;
}

}  // namespace

Command MakeDevicesCommand() {
  auto options = std::make_shared<DevicesOptions>();
  return {
      .name = "devices",
      .group = CommandGroup::kFarm,
      .summary = "list the devices of a farm",
      .description =
          "Asks a tracker which devices it has, what each is, whether it is ready, busy, draining, "
          "quarantined or lost, since when and why, what to do about it, and how much work waits; "
          "and who compiles for it.",
      .options = {{"--tracker", "ADDRESS",
                   "host:port or unix:/path, several with commas; the default is $HONE_TRACKER",
                   &options->tracker},
                  {"--tls-dir", "DIR",
                   "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or "
                   "where `hone join` puts them",
                   &options->tls_dir}},
      .examples = {"hone devices --tracker 127.0.0.1:7710"},
      .next = "hone tune MODEL.onnx --tracker ADDRESS measures on them.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
