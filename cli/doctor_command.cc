#include "cli/doctor_command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/default_paths.h"
#include "cli/doctor.h"
#include "cli/link_facts.h"
#include "cli/machine_facts.h"

namespace hone {
namespace {

struct DoctorOptions {
  std::string patient = "client";
  std::string spool;
  std::string sandbox;
  std::string database = DefaultDatabasePath(std::getenv);
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
};

std::string ProgramDir() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

StatusOr<Patient> PatientOf(const std::string& word) {
  if (word == "client") return Patient::kClient;
  if (word == "agent") return Patient::kAgent;
  if (word == "tracker") return Patient::kTracker;
  return absl::InvalidArgumentError(
      absl::StrCat("no doctor for '", word, "'; there are client, agent and tracker"));
}

StatusOr<ExitCode> Run(const DoctorOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(const Patient patient, PatientOf(options.patient));
  const DoctorFacts facts = {
      .machine = ReadMachineFacts({.database_path = options.database,
                                   .program_dir = ProgramDir(),
                                   .spool_path = options.spool,
                                   .sandbox_asked = options.sandbox}),
      .link = ReadLinkFacts(
          options.tracker, TlsDirFor(options.tracker, options.tls_dir, std::getenv), HONE_VERSION)};
  const std::vector<Finding> findings = Diagnose(facts, patient);
  console.out << RenderFindings(findings, patient);
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
      .summary = "say what a machine or a farm lacks, and the way to it",
      .description =
          "Looks at what tuning depends on: the CPU's vector features and speed, other load, the "
          "frequency "
          "governor, huge pages, memory, disk, /dev/shm, the database, the programs beside hone, "
          "and, if a tracker is named, the way to it step by step, and the farm behind it. For an "
          "agent's machine or a tracker's, say so: it looks at what these need. Changes "
          "nothing.\n\nEach line is ok, warn (works, but "
          "measures worse than it could) or FAIL (does not work), with what to do below it. Exit "
          "code 1 if any line is FAIL.",
      .options =
          {{"WHAT", "", "client, agent or tracker: what this machine is", &options->patient},
           {"--db", "FILE", "the database that tuning would write: a file, or postgresql://...",
            &options->database},
           {"--tracker", "ADDRESS",
            "also ask this tracker, or these with commas, whether it answers", &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or "
            "where `hone join` puts them",
            &options->tls_dir},
           {"--spool", "DIR", "the agent's folder of reports, as for hone-agent", &options->spool},
           {"--sandbox", "LEVEL", "the level that the agent is to reach: L0 to L3",
            &options->sandbox}},
      .examples = {"hone doctor", "hone doctor --tracker 127.0.0.1:7710",
                   "hone doctor agent --tracker farm.example.com:7710",
                   "hone doctor tracker --db /var/lib/hone/records.db",
                   "hone doctor tracker --db postgresql://hone@db/farm"},
      .next = "hone tune MODEL.onnx",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
