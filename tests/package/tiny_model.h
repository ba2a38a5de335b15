// A whole model of hand-written kernels, for tests of what makes, loads and runs packages:
//
//   t0 = scale(x, w0)   t1 = scale(x, w1)   t2 = t0 + t1   y = t2 + t2
//
// Outputs: y; "flat", t2 seen as [32]; and x itself. With x = i and w0 = 1, w1 = 2:
// t2 = 6 i, y = 12 i.
#pragma once

#include <string>
#include <vector>

#include "base/target.h"
#include "compiler/graph/model_plan.h"
#include "proto/artifact.pb.h"

namespace hone {

ModelPlan TinyPlan();
std::vector<pb::Artifact> TinyArtifacts();
Target TinyTarget();
// The same with all features of this machine.
Target MachineTarget();
// model.so; the test fails when it cannot be made. `adds`: the kernel that it adds with, of
// tests/package/kernels: one that does its work, or one that fails in its own way.
std::string TinyModel(const std::string& adds = "add");
// The same for a machine that is not this one.
std::string TinyModelFor(const Target& target);

// A file with the given bytes in the test's temporary folder, for as long as it lives.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& bytes);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hone
