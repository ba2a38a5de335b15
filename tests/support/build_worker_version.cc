#include "tests/support/build_worker_version.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/local_programs.h"

namespace hone {

pb::CompilerVersion BuildWorkerVersion() {
  FILE* output = popen((ProgramPath("hone-build-worker") + " --version").c_str(), "r");
  char tool[64] = {};
  int epoch = 0;
  EXPECT_EQ(fscanf(output, "%63s %d", tool, &epoch), 2);
  EXPECT_EQ(pclose(output), 0);
  pb::CompilerVersion version;
  version.set_tool_version(tool);
  version.set_codegen_epoch(epoch);
  return version;
}

}  // namespace hone
