// `hone run`: feeds files to a compiled model and shows what comes out.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_place.h"

namespace hone {

struct RunOptions {
  std::string model;
  std::vector<std::string> inputs;  // FILE in the model's order, or NAME=FILE
  std::string preprocess;           // of pictures; preprocess.h
  bool bgr = false;                 // pictures go in blue channel first
  std::string output_dir;           // "": print only
  std::string labels;               // a file with one class name a line; "": numbers only
  PlaceChoice place;
};

// Prints each output's shape, and the five largest of 1000 values; writes NAME.npy files.
StatusOr<ExitCode> RunModel(const RunOptions& options, const Console& console);

Command MakeRunCommand();

}  // namespace hone
