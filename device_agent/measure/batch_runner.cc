#include "device_agent/measure/batch_runner.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/numerics.h"
#include "base/target.h"
#include "device_agent/measure/agreement.h"
#include "device_agent/measure/cache_flush.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/race.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

// How often the times of a visit may fail to be borne out before they count as made up: once may be
// the hypervisor, or a neighbour at an unlucky moment, which has had its turn some milliseconds
// later. Whoever uses the pauses to compute ahead is seen by that.
constexpr int kTriesToAgree = 3;
constexpr int64_t kPauseBeforeTryNs = 5000000;  // times the number of tries so far
// A reference that takes less runs anew for every candidate that is checked again.
constexpr double kFreshForEachBelowNs = 2e6;
constexpr int64_t kReferenceTimeoutMs = 30000;

int64_t UnixMillis() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1000000;
}

int64_t MonotonicNanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

void SleepNanos(int64_t duration_ns) {
  if (duration_ns <= 0) return;
  const timespec t = {duration_ns / 1000000000, duration_ns % 1000000000};
  nanosleep(&t, nullptr);
}

void Fail(pb::Measurement& measurement, pb::FailureKind kind, absl::string_view message) {
  measurement.set_failure(kind);
  measurement.set_message(std::string(message));
}

void FailFromStatus(pb::Measurement& measurement, const Status& status) {
  const bool no_memory = status.code() == absl::StatusCode::kResourceExhausted;
  Fail(measurement, no_memory ? pb::OUT_OF_MEMORY : pb::COMPILE_ERROR, status.message());
}

pb::Measurement MeasurementOf(const pb::Candidate& candidate) {
  pb::Measurement measurement;
  measurement.set_compile_ns(candidate.artifact().compile_ns());
  measurement.set_code_bytes(static_cast<int64_t>(candidate.artifact().code().size()));
  return measurement;
}

// "rms error 9.3e-06 is 71 times that of sequential fp32; class fp32 allows 4"
std::string InexactMessage(const pb::Batch& batch, const pb::Measurement& measurement) {
  const StatusOr<Numerics> numerics = ParseNumerics(batch.numerics());
  if (measurement.error_ratio() <= 0 || !numerics.ok()) {
    return absl::StrFormat("rms error %.2g; class %s allows %.2g", measurement.rms_error(),
                           batch.numerics(), batch.rms_error_max());
  }
  return absl::StrFormat("rms error %.2g is %.3g times that of sequential fp32; class %s allows %g",
                         measurement.rms_error(), measurement.error_ratio(), batch.numerics(),
                         SequentialErrorFactor(*numerics));
}

}  // namespace

// The device, as the race sees it.
class BatchRunner::Course final : public RaceCourse {
 public:
  Course(BatchRunner& runner, const std::vector<std::unique_ptr<Racer>>& racers)
      : runner_(runner), racers_(racers) {}
  std::optional<Answer> Carry(int racer, const Order& order) override {
    return runner_.CarryVisit(*racers_[racer], order);
  }
  int64_t NowNs() override { return MonotonicNanos(); }
  void Pause(int64_t duration_ns) override { SleepNanos(duration_ns); }

 private:
  BatchRunner& runner_;
  const std::vector<std::unique_ptr<Racer>>& racers_;
};

BatchRunner::BatchRunner(const pb::Batch& batch, Options options,
                         std::function<void(const pb::MeasureReply&)> report)
    : batch_(batch),
      options_(std::move(options)),
      threads_(Target::Parse(batch.target()).value_or(Target()).threads),
      report_(std::move(report)),
      boundary_(batch) {}

BatchRunner::End BatchRunner::Run(const std::vector<int>& indices) {
  pb::MeasureReply done;
  pb::Measurement& reference = *done.mutable_done()->mutable_reference();
  Status status = boundary_.Allocate(BoundaryModel(indices), options_.memory);
  if (!status.ok()) FailFromStatus(reference, status);
  if (status.ok() && HasReference()) {
    status = StartReference();
    if (!status.ok()) return {pb::INFRA, kNobody, std::string(status.message())};
    RunReference(reference);
  }
  if (reference.failure() != pb::OK) {
    done.mutable_done()->set_error(
        absl::StrCat("the batch's reference failed: ", reference.message()));
    report_(done);
    return {};
  }

  status = StartCandidates(indices);
  if (!status.ok()) return {pb::INFRA, kNobody, std::string(status.message())};
  std::vector<std::unique_ptr<Racer>> racers;
  for (size_t i = 0; i < indices.size() && broken_.failure == pb::OK; ++i) {
    std::unique_ptr<Racer> racer = Admit(indices[i], static_cast<int>(i));
    if (memory_spoiled_) return {};
    if (racer != nullptr) racers.push_back(std::move(racer));
  }
  RunRace(racers);
  const bool forged = std::any_of(racers.begin(), racers.end(), [](const auto& racer) {
    return racer->measurement.failure() == pb::FORGED;
  });
  for (std::unique_ptr<Racer>& racer : racers) {
    const bool failed = racer->measurement.failure() != pb::OK;
    if ((memory_spoiled_ || broken_.failure != pb::OK) && !failed) continue;
    // It may have lost to a time that is not true.
    if (forged && racer->raced_out && !failed && indices.size() > 1) continue;
    if (racer->estimator.visits() > 0) racer->estimator.Describe(racer->measurement);
    racer->measurement.set_cold_constants(batch_.cold_constants() && CanFlushCaches());
    racer->measurement.set_raced_out(racer->raced_out);
    racer->measurement.set_finalist(batch_.final());
    Report(racer->index, racer->measurement);
  }
  if (memory_spoiled_ || broken_.failure != pb::OK) return broken_;
  report_(done);
  return {};
}

const pb::Candidate& BatchRunner::BoundaryModel(const std::vector<int>& indices) const {
  return HasReference() ? batch_.reference() : batch_.candidates(indices.front());
}

KernelProcessOptions BatchRunner::ProcessOptions(
    const std::vector<const pb::Candidate*>& candidates, LastingMemory* memory) const {
  KernelProcessOptions options;
  options.sandbox = options_.sandbox;
  options.memory = memory;
  options.threads = threads_;
  options.tiles = std::any_of(candidates.begin(), candidates.end(), [](const auto* candidate) {
    return candidate->artifact().manifest().needs_tiles();
  });
  options.cold_constants = batch_.cold_constants();
  options.timeout_ms = batch_.timeout_ms();
  return options;
}

Status BatchRunner::StartReference() {
  const std::vector<const pb::Candidate*> reference = {&batch_.reference()};
  KernelProcessOptions options = ProcessOptions(reference, options_.reference_memory);
  // It is trusted more than a candidate.
  options.timeout_ms = std::max(options.timeout_ms, kReferenceTimeoutMs);
  HONE_ASSIGN_OR_RETURN(reference_, KernelProcess::Start(reference, boundary_.buffers(), options));
  return absl::OkStatus();
}

Status BatchRunner::StartCandidates(const std::vector<int>& indices) {
  std::vector<const pb::Candidate*> candidates;
  for (int index : indices) candidates.push_back(&batch_.candidates(index));
  const KernelProcessOptions options = ProcessOptions(candidates, options_.memory);
  HONE_ASSIGN_OR_RETURN(candidates_,
                        KernelProcess::Start(candidates, boundary_.buffers(), options));
  return absl::OkStatus();
}

void BatchRunner::RunReference(pb::Measurement& measurement) {
  measurement = MeasurementOf(batch_.reference());
  const auto ended = [&] {
    Fail(measurement, reference_->end().failure, reference_->end().message);
  };
  if (reference_->loaded().empty()) return ended();
  if (const Status& loaded = reference_->loaded().front(); !loaded.ok())
    return FailFromStatus(measurement, loaded);
  boundary_.PoisonOutputs();
  std::optional<Answer> answer = reference_->Carry({.kind = OrderKind::kPrepareAndRun});
  if (!answer.has_value()) return ended();
  reference_ns_ = answer->run_ns[0];
  if (const std::string overrun = FirstOverrun(*answer); !overrun.empty())
    return Fail(measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
  Deviation deviation;
  boundary_.CompareSamples(measurement, deviation);
  if (!deviation.Right())
    return Fail(measurement, pb::INCORRECT,
                absl::StrCat(deviation.ToString(), " against the values computed in float64"));
  boundary_.KeepExpected();
  const VisitPlan plan = PlanFirstVisit(reference_ns_, 0);
  answer = reference_->Carry({.kind = OrderKind::kVisit,
                              .samples = plan.samples,
                              .runs_per_sample = plan.runs_per_sample,
                              .estimate_ns = reference_ns_});
  if (!answer.has_value()) return ended();
  Visit visit = VisitOf(*answer);
  gflops_max_ = std::max({options_.best_known_gflops, visit.gflops_before, visit.gflops_after});
  const bool quiet = IsQuiet(visit, gflops_max_);
  Estimator estimator;
  estimator.Add(std::move(visit), quiet);
  estimator.Describe(measurement);
  measurement.set_cold_constants(batch_.cold_constants() && CanFlushCaches());
  reference_ns_ = estimator.cost_ns();
  measurement.set_unix_ms(UnixMillis());
}

std::unique_ptr<BatchRunner::Racer> BatchRunner::Admit(int index, int loaded) {
  auto racer = std::make_unique<Racer>();
  racer->index = index;
  racer->loaded = loaded;
  racer->measurement = MeasurementOf(batch_.candidates(index));
  if (static_cast<size_t>(loaded) >= candidates_->loaded().size()) {
    Break(index, *candidates_);
    return nullptr;
  }
  if (const Status& status = candidates_->loaded()[loaded]; !status.ok()) {
    FailFromStatus(racer->measurement, status);
    Report(index, racer->measurement);
    return nullptr;
  }
  boundary_.PoisonOutputs();
  const std::optional<Answer> answer =
      candidates_->Carry({.kind = OrderKind::kPrepareAndRun, .candidate = loaded});
  if (!answer.has_value()) {
    Break(index, *candidates_);
    return nullptr;
  }
  racer->estimate_ns = answer->run_ns[0];
  // Less a moment without the core, which must not cost it the race.
  if (threads_ == 1)
    racer->estimate_ns = std::min(racer->estimate_ns, std::max(candidates_->seen().cpu_ns, 1.0));
  if (const std::string overrun = FirstOverrun(*answer); !overrun.empty()) {
    Fail(racer->measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
    memory_spoiled_ = true;
  }
  if (memory_spoiled_ || OutputsAreWrong(racer->measurement)) {
    Report(index, racer->measurement);
    return nullptr;
  }
  return racer;
}

std::string BatchRunner::FirstOverrun(const Answer& answer) const {
  const std::string overrun = boundary_.FirstOverrun();
  return overrun.empty() ? answer.text : overrun;
}

bool BatchRunner::OutputsAreWrong(pb::Measurement& measurement) const {
  Deviation deviation;
  boundary_.CompareSamples(measurement, deviation);
  boundary_.CompareWithExpected(deviation);
  measurement.set_max_error(deviation.worst.max_error);
  if (!deviation.Right()) {
    Fail(measurement, pb::INCORRECT, deviation.ToString());
  } else if (batch_.rms_error_max() > 0 && measurement.rms_error() > batch_.rms_error_max()) {
    Fail(measurement, pb::INCORRECT, InexactMessage(batch_, measurement));
  }
  return measurement.failure() != pb::OK;
}

void BatchRunner::RunRace(std::vector<std::unique_ptr<Racer>>& racers) {
  if (racers.empty()) return;
  gflops_max_ = std::max({gflops_max_, options_.best_known_gflops, hone_fma_gflops()});
  options_.tile_patience->BeginBatch(batch_.final(), batch_.patience_ms());
  std::vector<double> estimates_ns;
  for (const std::unique_ptr<Racer>& racer : racers) estimates_ns.push_back(racer->estimate_ns);
  Course course(*this, racers);
  Race race({.final = batch_.final(),
             .best_known_ns = options_.best_known_ns,
             .reference_ns = reference_ns_,
             .gflops_max = gflops_max_,
             .tries = options_.second_tries},
            estimates_ns, course);
  const std::vector<int> best = race.Run();
  for (size_t i = 0; i < racers.size(); ++i) {
    racers[i]->estimator = race.racer(i).estimator;
    racers[i]->raced_out = race.racer(i).raced_out;
  }
  std::vector<Racer*> to_check;
  for (int i : best) to_check.push_back(racers[i].get());
  CheckAgain(to_check);
}

void BatchRunner::AwaitTiles(const Racer& racer) {
  const Order warm_up = {.kind = OrderKind::kWarmUp, .candidate = racer.loaded};
  TilePatience& patience = *options_.tile_patience;
  while (patience.MustLook()) {
    const std::optional<Answer> answer = candidates_->Carry(warm_up);
    // Of a process that ended, the visit will tell.
    if (!answer.has_value()) return;
    patience.Note(answer->throttled != 0);
    if (answer->throttled == 0) return;
    SleepNanos(TilePatience::kPauseMs * 1000000);
    patience.Spend();
  }
}

std::optional<Answer> BatchRunner::CarryVisit(Racer& racer, Order order) {
  if (!IsRacing(racer)) return std::nullopt;
  const bool tiles = batch_.candidates(racer.index).artifact().manifest().needs_tiles();
  if (tiles) AwaitTiles(racer);
  order.candidate = racer.loaded;
  std::string disagreement;
  for (int i = 0; i < kTriesToAgree; ++i) {
    SleepNanos(i * kPauseBeforeTryNs);
    const std::optional<Answer> answer = candidates_->Carry(order);
    if (!answer.has_value()) {
      Break(racer.index, *candidates_);
      return std::nullopt;
    }
    if (tiles) options_.tile_patience->Note(answer->throttled != 0);
    double runs = 0;
    for (int of_sample : RunsOfSamples(order, *answer)) runs += of_sample;
    const BesideRuns beside = {candidates_->around_ns(),
                               batch_.cold_constants() ? runs * boundary_.flush_limit_ns() : 0};
    disagreement = Disagreement(order, *answer, candidates_->seen(), threads_, beside);
    if (disagreement.empty()) disagreement = UnrestDisagreement(candidates_->seen(), threads_);
    if (disagreement.empty()) return answer;
  }
  Fail(racer.measurement, pb::FORGED, disagreement);
  return std::nullopt;
}

void BatchRunner::CheckAgain(const std::vector<Racer*>& racers) {
  bool fresh = false;
  for (Racer* racer : racers) {
    if (memory_spoiled_ || !IsRacing(*racer)) continue;
    // One set of inputs for each, or a candidate could do another's work; for all where it would
    // cost too much.
    if (!fresh || reference_ns_ < kFreshForEachBelowNs) fresh = MakeFreshInputs();
    CheckAgain(*racer);
  }
}

bool BatchRunner::MakeFreshInputs() {
  if (!HasReference()) return false;
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) return false;
  boundary_.FillInputs(seed);
  boundary_.PoisonOutputs();
  if (!reference_->Carry({.kind = OrderKind::kRun, .estimate_ns = reference_ns_}).has_value()) {
    Break(kReference, *reference_);
    return false;
  }
  boundary_.KeepExpected();
  return true;
}

void BatchRunner::CheckAgain(Racer& racer) {
  pb::Measurement& measurement = racer.measurement;
  const double cost_ns = racer.estimator.cost_ns();
  const pb::Manifest& manifest = batch_.candidates(racer.index).artifact().manifest();
  const double bytes = 2 * boundary_.bytes() +
                       static_cast<double>(manifest.scratch_shared_bytes()) +
                       threads_ * static_cast<double>(manifest.scratch_worker_bytes());
  std::string disagreement;
  for (int i = 0; i < kTriesToAgree; ++i) {
    SleepNanos(i * kPauseBeforeTryNs);
    if (i > 0) MakeFreshInputs();
    if (!IsRacing(racer)) return;
    boundary_.PoisonOutputs();
    const std::optional<Answer> answer = candidates_->Carry(
        {.kind = OrderKind::kRun, .candidate = racer.loaded, .estimate_ns = cost_ns});
    if (!answer.has_value()) return Break(racer.index, *candidates_);
    if (const std::string overrun = FirstOverrun(*answer); !overrun.empty()) {
      Fail(measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
      memory_spoiled_ = true;
      return;
    }
    Deviation deviation;
    // The oracle's values are of the first inputs.
    if (!HasReference()) boundary_.CompareSamples(measurement, deviation);
    boundary_.CompareWithExpected(deviation);
    measurement.set_max_error(std::max(measurement.max_error(), deviation.worst.max_error));
    if (!deviation.Right())
      return Fail(measurement, pb::INCORRECT,
                  absl::StrCat("right at first, wrong when run again: ", deviation.ToString()));
    disagreement = FreshRunDisagreement(cost_ns, *answer, candidates_->seen(), threads_, bytes);
    if (disagreement.empty()) disagreement = UnrestDisagreement(candidates_->seen(), threads_);
    if (disagreement.empty()) return;
  }
  Fail(measurement, pb::FORGED, disagreement);
}

void BatchRunner::Break(int candidate, const KernelProcess& process) {
  broken_ = {process.end().failure, candidate, process.end().message};
}

void BatchRunner::Report(int index, const pb::Measurement& measurement) {
  pb::MeasureReply reply;
  reply.mutable_candidate()->set_index(index);
  *reply.mutable_candidate()->mutable_measurement() = measurement;
  reply.mutable_candidate()->mutable_measurement()->set_unix_ms(UnixMillis());
  report_(reply);
}

}  // namespace hone
