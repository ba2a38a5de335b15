#include "device_agent/report_spool.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".report";

}  // namespace

StatusOr<ReportSpool> ReportSpool::Open(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the spool folder ", folder, ": ", error.message()));
  return ReportSpool(folder);
}

std::vector<pb::ReportRequest> ReportSpool::Load() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() == kSuffix) files.emplace_back(entry.last_write_time(), entry);
  }
  std::sort(files.begin(), files.end());
  std::vector<pb::ReportRequest> reports;
  for (const auto& [time, path] : files) {
    std::ifstream file(path, std::ios::binary);
    pb::ReportRequest report;
    if (report.ParseFromIstream(&file)) {
      reports.push_back(std::move(report));
    } else {
      fs::remove(path, error);
    }
  }
  return reports;
}

Status ReportSpool::Add(const pb::ReportRequest& report) const {
  const std::string path = PathOf(report.attempt_id());
  const std::string unfinished = path + ".new";
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    if (!report.SerializeToOstream(&file) || !file.flush())
      return absl::UnavailableError(
          absl::StrCat("cannot write ", unfinished, "; is the disk full?"));
  }
  std::error_code error;
  fs::rename(unfinished, path, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", error.message()));
  return absl::OkStatus();
}

void ReportSpool::Remove(absl::string_view attempt_id) const {
  std::error_code error;
  fs::remove(PathOf(attempt_id), error);
}

// Attempt ids are the tracker's and may hold anything.
std::string ReportSpool::PathOf(absl::string_view attempt_id) const {
  return absl::StrCat(folder_, "/", Digest(attempt_id), kSuffix);
}

}  // namespace hone
