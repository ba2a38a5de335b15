// `hone tune`: finds the fastest schedules of a model's kernels and writes them to the database.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/command.h"

namespace hone {

struct TuneOptions {
  std::string model;
  int64_t trials = 64;
  double minutes = 0;
  std::string db;
  int64_t threads = 1;
  std::string template_file;
  std::string kernel;  // only kernels whose name contains it
  std::vector<std::string> shapes;
  std::string tracker;
  std::string tls_dir;  // of certificates for the tracker
  std::string device;   // selector
  int64_t priority = 0;
  int64_t seed = 1;
  std::string numerics = "fp32";
  std::string report;   // file of the page; "": none
  bool random = false;  // no search: candidates at random, to study searches with
  bool replay = false;  // no device: the latest run is repeated from its records
};

StatusOr<ExitCode> TuneModel(const TuneOptions& options, const Clock& clock,
                             const Console& console);

Command MakeTuneCommand();

}  // namespace hone
