// Checks and times the candidates of one batch, in this process. The zygote calls it in a child
// that it forked for the batch, because the candidates may crash, hang or write anywhere; whatever
// such a child reported before is all that counts. Never forks, kills or restarts anything itself.
//
// First every candidate runs once and is compared with the reference; only those that are right are
// raced (racing.h), visit by visit, interleaved.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/target.h"
#include "device_agent/measure/compare.h"
#include "device_agent/measure/estimator.h"
#include "device_agent/measure/interference.h"
#include "device_agent/measure/kernel_timer.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/watch_page.h"
#include "proto/worker.pb.h"
#include "runtime/kernel.h"

namespace hone {

class BatchRunner {
 public:
  struct Options {
    Target target;                    // that the candidates are for
    std::vector<int> cpus;            // that they may run on
    double best_known_ns = 0;         // for racing; 0: none known
    double best_known_gflops = 0;     // of a core here, lately
    LastingMemory* memory = nullptr;  // for buffers; null: fresh
  };
  // How the run of a batch ended.
  enum class End {
    kDone,
    // A candidate wrote beside its buffers (it is reported). What else it wrote nobody knows: the
    // other candidates have to be run again elsewhere.
    kMemorySpoiled,
  };

  // `report` gets one message for each result as soon as it is final. All but `batch.reference`
  // must outlive the runner.
  BatchRunner(const pb::Batch& batch, const hone_host& host, WatchPage& watch, Options options,
              std::function<void(const pb::MeasureReply&)> report);

  // Runs the candidates with these indices, and the reference first. Reports each candidate, then
  // a MeasureDone; after kMemorySpoiled, not all.
  End Run(const std::vector<int>& indices);

 private:
  // A candidate that is right and takes part in the race.
  struct Racer {
    int index = 0;
    std::unique_ptr<LoadedCandidate> loaded;
    pb::Measurement measurement;
    Estimator estimator;
    double estimate_ns = 0;
    bool raced_out = false;
  };

  // The candidate whose manifest says what the boundary looks like: the reference, or the first.
  const pb::Candidate& BoundaryModel(const std::vector<int>& indices) const;
  Status AllocateBoundary(const pb::Candidate& model);
  // Runs the reference and keeps its outputs. Fills `measurement`.
  void RunReference(pb::Measurement& measurement);
  bool HasReference() const { return !batch_.reference().artifact().code().empty(); }

  // Loads, prepares, runs once and compares. Empty when the candidate failed; then it was reported.
  std::unique_ptr<Racer> Admit(int index);
  // True, with `measurement` saying what is wrong, unless the outputs are right, and as exact as
  // the batch's numerics class wants them.
  bool OutputsAreWrong(pb::Measurement& measurement) const;
  void CompareSamples(pb::Measurement& measurement, Comparison& worst,
                      const BoundaryBuffer*& where) const;
  void PoisonOutputs();

  void Race(std::vector<std::unique_ptr<Racer>>& racers);
  void RunFirstVisit(Racer& racer);
  // Once more, later, for a candidate that may only have met a neighbour: a sample if it was raced
  // out, a visit if its first was not quiet.
  void RunSecondChance(Racer& racer);
  // In turns, until all have had theirs or nothing is left to decide.
  void RunVisits(const std::vector<Racer*>& racers, int (*visits)(double), int gap_ms);
  static bool IsDecidedAmong(const std::vector<Racer*>& racers, size_t index);
  // Again while it is not quiet, as long as there are retries.
  void RunVisit(Racer& racer);
  // Whether one more visit may be made because another was not quiet; waits a moment before.
  bool TakeRetry();
  std::vector<Racer*> Survivors(const std::vector<std::unique_ptr<Racer>>& racers,
                                std::vector<int> (*choose)(const std::vector<double>&, double));
  // Runs it once more after the race, on poisoned outputs.
  void CheckAgain(Racer& racer);
  double BestNs() const;
  void Report(int index, const pb::Measurement& measurement);

  const pb::Batch& batch_;
  const hone_host& host_;
  WatchPage& watch_;
  const Options options_;
  InterferenceMeter interference_;
  const KernelTimer timer_;
  const std::function<void(const pb::MeasureReply&)> report_;

  std::vector<BoundaryBuffer> boundary_;  // in the order of the model's manifest
  std::vector<int> manifest_index_;       // of each of boundary_, in the model's manifest
  std::vector<GuardedBuffer> expected_;   // outputs of the reference; empty for inputs
  bool memory_spoiled_ = false;
  double gflops_max_ = 0;
  double best_in_batch_ns_ = 0;
  int retries_left_ = 0;  // of visits that were not quiet
};

}  // namespace hone
