// A command of the shell as tests of programs run it: what it printed, and how it ended.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace hone {

struct Ran {
  int exit_code = -1;  // also when a signal ended it
  std::string output;  // stdout and stderr together
};

inline Ran RunCommand(const std::string& command) {
  Ran ran;
  FILE* output = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (output == nullptr) return ran;
  std::array<char, 4096> buffer = {};
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), output)) {
    ran.output.append(buffer.data(), n);
  }
  const int status = pclose(output);
  if (WIFEXITED(status)) ran.exit_code = WEXITSTATUS(status);
  return ran;
}

}  // namespace hone
