// Checks and times the candidates of one batch. Called by the worker, in its own process; the
// candidates run in another (kernel_process.h), the reference in a third, because candidates may
// crash, hang, write anywhere and lie. So it is decided here which run is made, on which inputs,
// whether the outputs are right, and whether the times can be true.
//
// First every candidate runs once and is compared with the reference; only those that are right are
// raced (race.h), visit by visit, interleaved. Who did best runs again on inputs that nobody has
// seen before.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/target.h"
#include "device_agent/measure/boundary_memory.h"
#include "device_agent/measure/estimator.h"
#include "device_agent/measure/kernel_process.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/measure/second_tries.h"
#include "device_agent/measure/tile_patience.h"
#include "device_agent/sandbox/sandbox.h"
#include "proto/worker.pb.h"

namespace hone {

class BatchRunner {
 public:
  struct Options {
    const Sandbox* sandbox = nullptr;           // never null
    const MeasuringCore* core = nullptr;        // for batches on one thread; never null
    LastingMemory* memory = nullptr;            // for buffers; null: fresh
    LastingMemory* reference_memory = nullptr;  // for those of the reference alone
    SecondTries* second_tries = nullptr;        // of visits that were not quiet; never null
    TilePatience* tile_patience = nullptr;      // with a matrix unit; never null
    double best_known_ns = 0;                   // for racing; 0: none known
    double best_known_gflops = 0;               // of a core here, lately
  };
  // How the run of a batch ended.
  struct End {
    // OK: everything was reported. Else the process that ran `candidate` ended so; what was not
    // reported yet has to be run again.
    pb::FailureKind failure = pb::OK;
    int candidate = 0;    // kReference: the reference's
    std::string message;  // "SIGSEGV at 64 bytes past the end of output 'y'"
  };
  static constexpr int kReference = -1;
  static constexpr int kNobody = -2;  // no candidate's fault

  // `report` gets one message for each result as soon as it is final. The batch must outlive the
  // runner.
  BatchRunner(const pb::Batch& batch, Options options,
              std::function<void(const pb::MeasureReply&)> report);

  // Runs the candidates with these indices, and the reference first. Reports each candidate, then
  // a MeasureDone; not all, when a candidate brought the process down or wrote beside its buffers
  // (that one is reported), and not those that were raced out where a time was FORGED. Must be
  // called with one thread.
  End Run(const std::vector<int>& indices);

 private:
  class Course;
  // A candidate that is right and takes part in the race.
  struct Racer {
    int index = 0;   // into the batch
    int loaded = 0;  // as the kernel process numbers it
    pb::Measurement measurement;
    Estimator estimator;
    double estimate_ns = 0;
    bool raced_out = false;
  };

  // The candidate whose manifest says what the boundary looks like: the reference, or the first.
  const pb::Candidate& BoundaryModel(const std::vector<int>& indices) const;
  Status StartReference();
  Status StartCandidates(const std::vector<int>& indices);
  KernelProcessOptions ProcessOptions(const std::vector<const pb::Candidate*>& candidates,
                                      LastingMemory* memory) const;
  // Runs the reference and keeps its outputs. Fills `measurement`.
  void RunReference(pb::Measurement& measurement);
  bool HasReference() const { return !batch_.reference().artifact().code().empty(); }

  // Runs once and compares. Empty when the candidate failed; then it was reported, or broken_ is
  // set.
  std::unique_ptr<Racer> Admit(int index, int loaded);
  // True, with `measurement` saying what is wrong, unless the outputs are right, and as exact as
  // the batch's numerics class wants them.
  bool OutputsAreWrong(pb::Measurement& measurement) const;
  // Something written beside a buffer, as far as can be seen from here and from there: "output
  // 'y'".
  std::string FirstOverrun(const Answer& answer) const;

  void RunRace(std::vector<std::unique_ptr<Racer>>& racers);
  // Has it carried out, again where the times are not borne out. nullopt when they never are (then
  // the racer has failed) or the process ended (then broken_ is set).
  std::optional<Answer> CarryVisit(Racer& racer, Order order);
  // Until the matrix unit, which the candidate uses, has its full speed, while patience lasts.
  void AwaitTiles(const Racer& racer);
  // Runs them once more after the race, on inputs nobody has seen.
  void CheckAgain(const std::vector<Racer*>& racers);
  void CheckAgain(Racer& racer);
  // New inputs, and what the reference makes of them. False when that failed.
  bool MakeFreshInputs();
  void Report(int index, const pb::Measurement& measurement);
  // The process of the candidate at work ended: nothing more can be run.
  void Break(int candidate, const KernelProcess& process);
  bool IsRacing(const Racer& racer) const {
    return broken_.failure == pb::OK && racer.measurement.failure() == pb::OK;
  }

  const pb::Batch& batch_;
  const Options options_;
  const int threads_;  // that kernels may use
  const std::function<void(const pb::MeasureReply&)> report_;

  BoundaryMemory boundary_;
  // After the boundary, which they use.
  std::unique_ptr<KernelProcess> reference_;
  std::unique_ptr<KernelProcess> candidates_;
  End broken_;
  bool memory_spoiled_ = false;
  double gflops_max_ = 0;
  double reference_ns_ = 0;
};

}  // namespace hone
