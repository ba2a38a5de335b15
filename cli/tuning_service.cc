#include "cli/tuning_service.h"

#include "absl/strings/str_cat.h"

namespace hone {

Option JobOption(int64_t* job) {
  return {"JOB", "", "its number, as hone submit printed it", job, true, 1};
}

std::vector<Option> WithFarm(std::vector<Option> options, FarmChoice* farm) {
  options.push_back({"--tracker", "ADDRESS",
                     "host:port or unix:/path, several with commas; the default is $HONE_TRACKER",
                     &farm->tracker});
  options.push_back({"--tls-dir", "DIR",
                     "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or "
                     "where `hone join` puts them",
                     &farm->tls_dir});
  return options;
}

StatusOr<std::unique_ptr<TuningClient>> ConnectTuning(const FarmChoice& farm) {
  if (farm.tracker.empty()) {
    return absl::InvalidArgumentError(
        "no tracker named; give --tracker ADDRESS or set HONE_TRACKER (hone tune needs none: it "
        "tunes on this machine)");
  }
  return TuningClient::Connect(farm.tracker, TlsDirFor(farm.tracker, farm.tls_dir, std::getenv));
}

std::string TrackerFlag(const std::string& tracker) {
  return tracker == DefaultTracker(std::getenv) ? "" : absl::StrCat(" --tracker ", tracker);
}

}  // namespace hone
