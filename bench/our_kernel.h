// OurKernel: a compiled artifact with memory of its own, in this process, ready to run and to be
// timed. Used by the programs of this folder that hold kernels against each other; it measures
// nothing itself.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "device_agent/measure/loaded_candidate.h"
#include "proto/artifact.pb.h"
#include "proto/batch.pb.h"
#include "runtime/tile_state.h"

namespace hone {

class OurKernel {
 public:
  // Inputs are random; what depends on constants alone is computed here. `host` must outlive it.
  static StatusOr<std::unique_ptr<OurKernel>> Make(const pb::Artifact& artifact,
                                                   const hone_host& host);
  // Whether it needs a matrix unit, whose tiles Run sets up.
  bool uses_tiles() const { return uses_tiles_; }
  void Run() {
    // Peers leave the tiles of this thread as they need them.
    if (uses_tiles_) hone_tiles_configure();
    loaded_->Run();
  }

 private:
  OurKernel() = default;
  bool uses_tiles_ = false;
  pb::Candidate candidate_;
  std::vector<BoundaryBuffer> boundary_;
  std::unique_ptr<LoadedCandidate> loaded_;
};

}  // namespace hone
