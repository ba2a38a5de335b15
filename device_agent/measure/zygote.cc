#include "device_agent/measure/zygote.h"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/target.h"
#include "device_agent/measure/batch_runner.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/canary.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/measure/model_runner.h"
#include "device_agent/measure/second_tries.h"
#include "device_agent/measure/tile_patience.h"
#include "rpc/frame.h"

namespace hone {
namespace {

constexpr int kIdleMs = 10000;  // without a batch, memory goes back to the system
// In how many processes a candidate's times have to be found FORGED, all but the first its own,
// before it counts: a good kernel that is lost to noise is worse than a cheat tried thrice.
constexpr int kAccusations = 3;

// One batch on its way: which candidates still lack a result.
class BatchSupervisor {
 public:
  BatchSupervisor(const pb::Batch& batch, BatchRunner::Options options,
                  const std::function<void(const pb::MeasureReply&)>& reply)
      : batch_(batch), options_(options), reply_(reply) {
    options_.best_known_ns = batch.best_ns();
  }

  // An error when the worker is of no further use.
  Status Run() {
    for (int i = 0; i < batch_.candidates_size(); ++i) {
      if (batch_.candidates(i).artifact().code().empty()) {
        ReportUncompiled(i);
      } else {
        pending_.push_back(i);
      }
    }
    // All together; after a mishap, each alone: a candidate that went wrong may have spoiled the
    // memory of the others, and may not even be the one that was at work when it showed.
    // A copy, since settling changes what is pending.
    if (!pending_.empty()) RunTogether(std::vector<int>(pending_));
    while (!pending_.empty() && done_.error().empty()) {
      const int candidate = pending_.front();
      const int accusations = accusations_[candidate];
      RunTogether({candidate});
      if (!pending_.empty() && pending_.front() == candidate && done_.error().empty() &&
          accusations_[candidate] == accusations)
        Fail(candidate, pb::INFRA, "the worker ended without a result for this candidate");
    }
    for (int candidate : std::vector<int>(pending_)) Fail(candidate, pb::INFRA, done_.error());
    pb::MeasureReply reply;
    *reply.mutable_done() = std::move(done_);
    reply_(reply);
    return broken_;
  }

 private:
  void RunTogether(const std::vector<int>& indices) {
    const auto relay = [this](const pb::MeasureReply& reply) {
      if (reply.has_done()) {
        done_ = reply.done();
      } else if (reply.candidate().measurement().failure() != pb::FORGED ||
                 ++accusations_[reply.candidate().index()] >= kAccusations) {
        Settle(reply);
      }
    };
    const bool one_thread = Target::Parse(batch_.target()).value_or(Target()).threads == 1;
    if (one_thread) options_.core->Enter();
    BatchRunner::End end;
    // Every process of it is gone, and its memory free again, when the runner is.
    end = BatchRunner(batch_, options_, relay).Run(indices);
    if (one_thread) options_.core->Leave();
    options_.memory->Rewind();
    options_.reference_memory->Rewind();
    if (const Status gone = options_.sandbox->KillLeftovers(); !gone.ok()) {
      broken_ = gone;
      done_.set_error(std::string(gone.message()));
      return;
    }
    if (end.failure == pb::OK) return;
    if (end.candidate == BatchRunner::kReference) {
      done_.set_error("the batch's reference failed: " + end.message);
    } else if (end.candidate == BatchRunner::kNobody) {
      done_.set_error(end.message);
    } else if (end.failure == pb::TIMEOUT || indices.size() == 1) {
      // A crash among others is not proof: whoever was at work is tried alone like the rest. A hang
      // is charged at once, because trying again would cost the whole timeout again.
      Fail(end.candidate, end.failure, end.message);
    }
  }

  void ReportUncompiled(int index) {
    pb::MeasureReply reply;
    reply.mutable_candidate()->set_index(index);
    pb::Measurement& measurement = *reply.mutable_candidate()->mutable_measurement();
    measurement = batch_.candidates(index).measurement();
    if (measurement.failure() == pb::OK) {
      measurement.set_failure(pb::COMPILE_ERROR);
      measurement.set_message("the batch has no code for this candidate");
    }
    reply_(reply);
  }

  void Fail(int index, pb::FailureKind failure, const std::string& message) {
    pb::MeasureReply reply;
    reply.mutable_candidate()->set_index(index);
    pb::Measurement& measurement = *reply.mutable_candidate()->mutable_measurement();
    measurement.set_failure(failure);
    measurement.set_message(message);
    const pb::Artifact& artifact = batch_.candidates(index).artifact();
    measurement.set_compile_ns(artifact.compile_ns());
    measurement.set_code_bytes(static_cast<int64_t>(artifact.code().size()));
    Settle(reply);
  }

  // Passes a final result on, once.
  void Settle(const pb::MeasureReply& reply) {
    if (std::erase(pending_, reply.candidate().index()) == 0) return;
    const pb::Measurement& measurement = reply.candidate().measurement();
    double& best_ns = options_.best_known_ns;
    if (measurement.failure() == pb::OK && (best_ns <= 0 || measurement.cost_ns() < best_ns))
      best_ns = measurement.cost_ns();
    reply_(reply);
  }

  const pb::Batch& batch_;
  BatchRunner::Options options_;
  const std::function<void(const pb::MeasureReply&)>& reply_;
  std::vector<int> pending_;
  std::map<int, int> accusations_;  // of having FORGED times, by candidate
  pb::MeasureDone done_;
  Status broken_;
};

// The best multiply-add rate of the measuring core lately: what a visit has to come near. Measured
// here and not taken from the children, in which a candidate could make one up; forgotten after a
// while, since heat and neighbours change what a clock can do.
class RecentPeak {
 public:
  explicit RecentPeak(const MeasuringCore& core) : core_(core) {}

  double MeasureAgain() {
    core_.Enter();
    double peak = 0;
    for (int i = 0; i < kCalibrations; ++i) peak = std::max(peak, hone_fma_gflops());
    core_.Leave();
    peaks_.push_back(peak);
    if (peaks_.size() > kRemembered) peaks_.pop_front();
    return *std::max_element(peaks_.begin(), peaks_.end());
  }

 private:
  static constexpr int kCalibrations = 8;
  static constexpr size_t kRemembered = 64;  // batches: about a minute's
  const MeasuringCore& core_;
  std::deque<double> peaks_;
};

// The reading gets its time from the agent, whose clock it is compared by.
pb::MeasureReply RunCanary(const std::string& target, const MeasuringCore& core) {
  core.Enter();
  pb::MeasureReply reply;
  *reply.mutable_canary() = MeasureCanary(Target::Parse(target).value_or(Target()));
  core.Leave();
  return reply;
}

// The bytes of a model, which come in messages of their own.
StatusOr<std::string> ReadModelBytes(int socket) {
  pb::MeasureRequest request;
  HONE_ASSIGN_OR_RETURN(const bool more, ReadFrame(socket, request));
  if (!more) return absl::DataLossError("the agent went away amid a model");
  if (request.model_bytes().empty()) return absl::DataLossError("a model's bytes are missing");
  return std::move(*request.mutable_model_bytes());
}

// Whether there is something to read within so long.
bool Arrives(int socket, int timeout_ms) {
  pollfd event = {socket, POLLIN, 0};
  return poll(&event, 1, timeout_ms) != 0;
}

}  // namespace

Status ServeBatches(int socket, const Sandbox& sandbox, const MeasuringCore& core) {
  RecentPeak peak(core);
  LastingMemory memory = LastingMemory::Create(LastingMemory::FairShare());
  LastingMemory reference_memory = LastingMemory::Create(LastingMemory::FairShare() / 2);
  SecondTries second_tries;
  TilePatience tile_patience;
  pb::MeasureRequest request;
  Status written;
  while (true) {
    if (!Arrives(socket, kIdleMs)) {
      memory.GiveBack();
      reference_memory.GiveBack();
    }
    HONE_ASSIGN_OR_RETURN(const bool more, ReadFrame(socket, request));
    if (!more) return absl::OkStatus();
    if (!request.canary_target().empty()) {
      HONE_RETURN_IF_ERROR(WriteFrame(socket, RunCanary(request.canary_target(), core)));
      request.Clear();
      continue;
    }
    const auto reply = [&](const pb::MeasureReply& message) {
      if (written.ok()) written = WriteFrame(socket, message);
    };
    if (request.batch().has_model()) {
      HONE_RETURN_IF_ERROR(RunModel(request.batch(), request.model_bytes_to_come(),
                                    {.sandbox = &sandbox,
                                     .core = &core,
                                     .next_bytes = [&] { return ReadModelBytes(socket); },
                                     .reply = reply}));
      HONE_RETURN_IF_ERROR(written);
      request.Clear();
      continue;
    }
    BatchRunner::Options options;
    options.sandbox = &sandbox;
    options.core = &core;
    options.memory = &memory;
    options.reference_memory = &reference_memory;
    options.second_tries = &second_tries;
    options.tile_patience = &tile_patience;
    options.best_known_gflops = peak.MeasureAgain();
    HONE_RETURN_IF_ERROR(BatchSupervisor(request.batch(), options, reply).Run());
    HONE_RETURN_IF_ERROR(written);
    request.Clear();
  }
}

}  // namespace hone
