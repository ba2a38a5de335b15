#include "cli/doctor_command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "cli/default_paths.h"
#include "cli/doctor.h"
#include "cli/machine_facts.h"
#include "rpc/farm_client.h"

namespace hone {
namespace {

struct DoctorOptions {
  std::string database = DefaultDatabasePath(std::getenv);
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
};

std::string ProgramDir() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

void AskTracker(const std::string& tracker, const std::string& tls_dir, MachineFacts* facts) {
  facts->tracker = tracker;
  if (tracker.empty()) return;
  auto client = FarmClient::Connect({.tracker = tracker, .tls_dir = tls_dir});
  StatusOr<FarmStatus> status = client.ok() ? (*client)->ListDevices() : client.status();
  if (status.ok()) {
    facts->tracker_devices = static_cast<int>(status->devices.size());
  } else {
    facts->tracker_problem = std::string(status.status().message());
  }
}

StatusOr<ExitCode> Run(const DoctorOptions& options, const Console& console) {
  MachineFacts facts = ReadMachineFacts(options.database, ProgramDir());
  AskTracker(options.tracker, TlsDirFor(options.tracker, options.tls_dir, std::getenv), &facts);
  std::vector<Finding> findings = Diagnose(facts);
  console.out << RenderFindings(findings);
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::kFail) return ExitCode::kCheckFailed;
  }
  return ExitCode::kOk;
}

}  // namespace

Command MakeDoctorCommand() {
  auto options = std::make_shared<DoctorOptions>();
  return {
      .name = "doctor",
      .group = CommandGroup::kFarm,
      .summary = "say what this machine lacks, and the way to it",
      .description =
          "Looks at what tuning depends on: the CPU's vector features and speed, other load, the "
          "frequency "
          "governor, huge pages, memory, disk, /dev/shm, the database, the programs beside hone, "
          "and the tracker if one is named. Changes nothing.\n\nEach line is ok, warn (works, but "
          "measures worse than it could) or FAIL (does not work), with what to do below it. Exit "
          "code 1 if any line is FAIL.",
      .options =
          {{"--db", "FILE", "the database that tuning would write", &options->database},
           {"--tracker", "ADDRESS", "also ask this tracker whether it answers", &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or where "
            "`hone join` puts them",
            &options->tls_dir}},
      .examples = {"hone doctor", "hone doctor --tracker 127.0.0.1:7710"},
      .next = "hone tune MODEL.onnx",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
