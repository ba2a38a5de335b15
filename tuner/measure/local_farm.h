// LocalFarm: a farm of this machine alone, for when no tracker is given. Starts hone-tracker and
// hone-agent as child processes on a private unix socket and stops them at the end; the caller then
// uses the tracker's address like any other. It never measures by itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace hone {

struct LocalFarmOptions {
  std::string database;  // path; made if missing, in a directory that is there
  // Directory of the programs; when empty: $HONE_BIN_DIR, or that of the running executable.
  std::string bin_dir;
  // Who holds the database, told to whoever is refused: "hone tune model.onnx".
  std::string purpose;
  // hone-agent is started with --tracker ADDRESS --parent-pid PID and these: {"--threads", "2"}
  std::vector<std::string> agent_args;
  absl::Duration start_timeout = absl::Seconds(30);
};

class LocalFarm {
 public:
  // Returns when the device of this machine is ready. What a child complained about when it ended
  // early comes back as the error: FailedPrecondition when the database cannot be used (locked,
  // corrupt, ...), Unavailable otherwise; NotFound when a program is missing.
  static StatusOr<std::unique_ptr<LocalFarm>> Start(const LocalFarmOptions& options);
  // Stops both children, agent first, and removes the socket.
  ~LocalFarm();

  // For FarmClientOptions::tracker.
  const std::string& tracker() const;
  // OK while both children run; else which of them ended, and its last words.
  Status Check();

 private:
  class Impl;
  explicit LocalFarm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
