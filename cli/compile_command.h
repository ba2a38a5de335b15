// `hone compile`: makes one shared object of a model, with the best schedules that the database
// knows, and says of each kernel where its schedule comes from.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace hone {

struct CompileCommandOptions {
  std::string model;
  std::string output;
  std::string db;
  std::string tls_dir;
  std::string tracker;  // whose records to use instead; "": none
  int64_t threads = 1;
  std::vector<std::string> shapes;
  std::string numerics = "fp32";
};

StatusOr<ExitCode> CompileModel(const CompileCommandOptions& options, const Console& console);

Command MakeCompileCommand();

}  // namespace hone
