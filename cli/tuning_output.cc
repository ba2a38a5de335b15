#include "cli/tuning_output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/tuning_report.h"

namespace hone {

Status CheckReportCanBeWritten(const std::string& report) {
  if (report.empty()) return absl::OkStatus();
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(report, error);
  if (std::filesystem::is_directory(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat(report, ": a folder; --report expects the name of a file"));
  }
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return absl::OkStatus();
  }
  const std::filesystem::path folder = std::filesystem::absolute(report, error).parent_path();
  if (access(folder.c_str(), W_OK) == 0) return absl::OkStatus();
  const int why = errno;
  const std::string message =
      absl::StrCat(report, ": the report cannot be written there: ", std::strerror(why),
                   "; choose another place");
  return why == ENOENT || why == ENOTDIR ? absl::NotFoundError(message)
                                         : absl::PermissionDeniedError(message);
}

Status PrintTuning(const TuneOptions& options, const TuningOptions& tuning,
                   const TuningState& state, TuningFacts facts, const Console& console) {
  console.out << TuningReport(state, tuning.target, console.out_is_tty ? console.width : 0);
  if (options.report.empty()) return absl::OkStatus();
  facts.model = std::filesystem::path(options.model).filename();
  facts.target = tuning.target;
  facts.numerics = tuning.numerics;
  facts.tool_version = tuning.tool_version;
  facts.seed = tuning.seed;
  HONE_RETURN_IF_ERROR(WriteFile(options.report, TuningPage(state, facts)));
  console.out << "wrote " << options.report << "\n";
  return absl::OkStatus();
}

}  // namespace hone
