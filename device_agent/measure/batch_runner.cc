#include "device_agent/measure/batch_runner.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/numerics.h"
#include "device_agent/measure/cache_flush.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/racing.h"
#include "runtime/dtype.h"
#include "runtime/fill.h"

namespace hone {
namespace {

constexpr unsigned char kPoison = 0xFF;  // NaN in every float type
constexpr int kRung2GapMs = 4;           // visits apart in time see different neighbours
constexpr int kFinalGapMs = 10;
constexpr int64_t kRetryGapNs = 1000000;
constexpr int kRetriesPerCandidate = 1;
constexpr double kCheckRunCountsFromNs = 20e6;
// What a candidate that looks clearly slower gets to show that it is not.
constexpr double kSlowTrialNs = 1e6;
constexpr size_t kSlowTrialSamples = 5;

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

BatchRunner::BatchRunner(const pb::Batch& batch, const hone_host& host, WatchPage& watch,
                         Options options, std::function<void(const pb::MeasureReply&)> report)
    : batch_(batch),
      host_(host),
      watch_(watch),
      options_(std::move(options)),
      interference_("", options_.cpus),
      timer_{watch, interference_, options_.target.threads,
             batch.cold_constants() && CanFlushCaches()},
      report_(std::move(report)) {}

BatchRunner::End BatchRunner::Run(const std::vector<int>& indices) {
  pb::MeasureReply done;
  pb::Measurement& reference = *done.mutable_done()->mutable_reference();
  watch_.candidate.store(WatchPage::kReference);
  const Status status = AllocateBoundary(BoundaryModel(indices));
  if (!status.ok()) FailFromStatus(reference, status);
  if (status.ok() && HasReference()) RunReference(reference);
  if (reference.failure() != pb::OK) {
    done.mutable_done()->set_error(
        absl::StrCat("the batch's reference failed: ", reference.message()));
    report_(done);
    return End::kDone;
  }

  std::vector<std::unique_ptr<Racer>> racers;
  for (int index : indices) {
    std::unique_ptr<Racer> racer = Admit(index);
    if (memory_spoiled_) return End::kMemorySpoiled;
    if (racer != nullptr) racers.push_back(std::move(racer));
  }
  Race(racers);
  for (std::unique_ptr<Racer>& racer : racers) {
    if (memory_spoiled_ && racer->measurement.failure() == pb::OK) continue;
    racer->estimator.Describe(racer->measurement);
    racer->measurement.set_cold_constants(timer_.cold_constants);
    racer->measurement.set_raced_out(racer->raced_out);
    racer->measurement.set_finalist(batch_.final());
    Report(racer->index, racer->measurement);
  }
  if (memory_spoiled_) return End::kMemorySpoiled;
  report_(done);
  return End::kDone;
}

const pb::Candidate& BatchRunner::BoundaryModel(const std::vector<int>& indices) const {
  return HasReference() ? batch_.reference() : batch_.candidates(indices.front());
}

Status BatchRunner::AllocateBoundary(const pb::Candidate& model) {
  const auto& buffers = model.artifact().manifest().buffers();
  for (int i = 0; i < buffers.size(); ++i) {
    if (buffers[i].role() == pb::BUFFER_ROLE_PREPARED) continue;
    BoundaryBuffer buffer;
    buffer.info = buffers[i];
    const char* dtype = buffer.info.dtype().c_str();
    const int64_t element_bytes = hone_dtype_bytes(dtype);
    if (element_bytes == 0)
      return absl::InvalidArgumentError(absl::StrCat("manifest: '", dtype, "' is no element type"));
    HONE_ASSIGN_OR_RETURN(buffer.elements, ElementCount(buffer.info, model));
    const int64_t bytes = buffer.elements * element_bytes;
    HONE_ASSIGN_OR_RETURN(buffer.memory, GuardedBuffer::Allocate(bytes, options_.memory));
    GuardedBuffer expected;
    if (buffer.info.role() == pb::BUFFER_ROLE_OUTPUT) {
      HONE_ASSIGN_OR_RETURN(expected, GuardedBuffer::Allocate(bytes, options_.memory));
    } else {
      hone_fill(buffer.memory.data(), buffer.elements, dtype, batch_.input_seed(),
                static_cast<uint32_t>(i));
      buffer.memory.MakeReadOnly();
    }
    boundary_.push_back(std::move(buffer));
    manifest_index_.push_back(i);
    expected_.push_back(std::move(expected));
    watch_.Beat();
  }
  return absl::OkStatus();
}

void BatchRunner::RunReference(pb::Measurement& measurement) {
  measurement = MeasurementOf(batch_.reference());
  auto loaded = LoadedCandidate::Load(batch_.reference(), boundary_, host_, options_.memory);
  if (!loaded.ok()) return FailFromStatus(measurement, loaded.status());
  LoadedCandidate& reference = **loaded;
  reference.Describe(watch_);
  reference.Prepare();
  watch_.Beat();
  PoisonOutputs();
  Visit visit = timer_.TimeVisit(reference, VisitPlan{}, 0);
  const double first_ns = visit.run_ns.front();
  if (const std::string overrun = reference.FirstOverrun(); !overrun.empty())
    return Fail(measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
  Comparison worst;
  const BoundaryBuffer* where = nullptr;
  CompareSamples(measurement, worst, where);
  if (!worst.Right())
    return Fail(measurement, pb::INCORRECT,
                absl::StrCat(BufferLabel(where->info), ": ", worst.ToString(),
                             " against the values computed in float64"));
  for (size_t i = 0; i < boundary_.size(); ++i) {
    if (expected_[i].data() != nullptr)
      memcpy(expected_[i].data(), boundary_[i].memory.data(),
             static_cast<size_t>(boundary_[i].memory.bytes()));
  }
  Estimator estimator;
  visit = timer_.TimeVisit(reference, PlanFirstVisit(first_ns, 0), first_ns);
  gflops_max_ = std::max({options_.best_known_gflops, visit.gflops_before, visit.gflops_after});
  const bool quiet = IsQuiet(visit, gflops_max_);
  estimator.Add(std::move(visit), quiet);
  estimator.Describe(measurement);
  measurement.set_cold_constants(timer_.cold_constants);
  best_in_batch_ns_ = estimator.cost_ns();  // who is clearly slower than the default need not run
  measurement.set_unix_ms(UnixMillis());
}

std::unique_ptr<BatchRunner::Racer> BatchRunner::Admit(int index) {
  const pb::Candidate& candidate = batch_.candidates(index);
  auto racer = std::make_unique<Racer>();
  racer->index = index;
  racer->measurement = MeasurementOf(candidate);
  watch_.candidate.store(index);
  watch_.Beat();
  auto loaded = LoadedCandidate::Load(candidate, boundary_, host_, options_.memory);
  if (!loaded.ok()) {
    FailFromStatus(racer->measurement, loaded.status());
    Report(index, racer->measurement);
    return nullptr;
  }
  racer->loaded = *std::move(loaded);
  racer->loaded->Describe(watch_);
  racer->loaded->Prepare();
  PoisonOutputs();
  racer->estimate_ns = timer_.Sample(*racer->loaded, 1, 0);
  watch_.Beat();
  if (const std::string overrun = racer->loaded->FirstOverrun(); !overrun.empty()) {
    Fail(racer->measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
    memory_spoiled_ = true;
  }
  if (memory_spoiled_ || OutputsAreWrong(racer->measurement)) {
    Report(index, racer->measurement);
    return nullptr;
  }
  return racer;
}

bool BatchRunner::OutputsAreWrong(pb::Measurement& measurement) const {
  Comparison worst;
  const BoundaryBuffer* where = nullptr;
  CompareSamples(measurement, worst, where);
  for (size_t i = 0; HasReference() && i < boundary_.size(); ++i) {
    if (expected_[i].data() == nullptr) continue;
    const Comparison comparison =
        CompareBuffers(boundary_[i].info.dtype().c_str(), boundary_[i].memory.data(),
                       expected_[i].data(), boundary_[i].elements, batch_.tolerance());
    if (comparison.max_error <= worst.max_error) continue;
    worst = comparison;
    where = &boundary_[i];
  }
  measurement.set_max_error(worst.max_error);
  if (!worst.Right()) {
    Fail(measurement, pb::INCORRECT,
         absl::StrCat(BufferLabel(where->info), ": ", worst.ToString()));
  } else if (batch_.rms_error_max() > 0 && measurement.rms_error() > batch_.rms_error_max()) {
    Fail(measurement, pb::INCORRECT, InexactMessage(batch_, measurement));
  }
  return measurement.failure() != pb::OK;
}

void BatchRunner::CompareSamples(pb::Measurement& measurement, Comparison& worst,
                                 const BoundaryBuffer*& where) const {
  double error_squares = 0;
  double value_squares = 0;
  for (const pb::SamplePoint& sample : batch_.samples()) {
    const auto found = std::find(manifest_index_.begin(), manifest_index_.end(), sample.buffer());
    if (found == manifest_index_.end()) continue;
    const BoundaryBuffer& buffer = boundary_[found - manifest_index_.begin()];
    if (sample.element() < 0 || sample.element() >= buffer.elements) continue;
    const double got =
        ElementAsDouble(buffer.info.dtype().c_str(), buffer.memory.data(), sample.element());
    const double worst_before = worst.max_error;
    CompareElement(got, sample.value(), sample.element(), batch_.tolerance(), worst);
    if (worst.max_error > worst_before) where = &buffer;
    if (!std::isfinite(sample.value())) continue;  // right or wrong, but of no size
    error_squares += (got - sample.value()) * (got - sample.value());
    value_squares += sample.value() * sample.value();
  }
  if (value_squares <= 0) return;
  measurement.set_rms_error(std::sqrt(error_squares / value_squares));
  if (batch_.sequential_rms_error() > 0)
    measurement.set_error_ratio(measurement.rms_error() / batch_.sequential_rms_error());
}

void BatchRunner::PoisonOutputs() {
  for (BoundaryBuffer& buffer : boundary_) {
    if (buffer.info.role() == pb::BUFFER_ROLE_OUTPUT) buffer.memory.Fill(kPoison);
  }
}

void BatchRunner::Race(std::vector<std::unique_ptr<Racer>>& racers) {
  if (racers.empty()) return;
  gflops_max_ = std::max({gflops_max_, options_.best_known_gflops, hone_fma_gflops()});
  retries_left_ = kRetriesPerCandidate * static_cast<int>(racers.size());
  if (batch_.final()) {
    std::vector<Racer*> all;
    for (std::unique_ptr<Racer>& racer : racers) all.push_back(racer.get());
    RunVisits(all, VisitsOfFinalist, kFinalGapMs);
    for (Racer* racer : all) CheckAgain(*racer);
  } else {
    for (std::unique_ptr<Racer>& racer : racers) RunFirstVisit(*racer);
    for (std::unique_ptr<Racer>& racer : racers) RunSecondChance(*racer);
    for (Racer* racer : Survivors(racers, SurvivorsForRung1)) RunVisit(*racer);
    const std::vector<Racer*> best = Survivors(racers, SurvivorsForRung2);
    RunVisits(best, VisitsInRung2, kRung2GapMs);
    for (Racer* racer : best) CheckAgain(*racer);
  }
}

void BatchRunner::RunFirstVisit(Racer& racer) {
  watch_.candidate.store(racer.index);
  // For a kernel this long, the run that was checked serves as the first sample.
  if (racer.estimate_ns >= kCheckRunCountsFromNs && IsClearlySlower(racer.estimate_ns, BestNs())) {
    racer.raced_out = true;
    racer.estimator.Add({{racer.estimate_ns}, gflops_max_, gflops_max_}, false);
    return;
  }
  Visit visit = timer_.TimeVisit([&](Visit& so_far) {
    std::vector<double>& run_ns = so_far.run_ns;
    double total_ns = 0;
    const auto sample = [&] {
      // Each is planned by what the last one said: the checked run was a cold one.
      const int runs = PlanFirstVisit(racer.estimate_ns, BestNs()).runs_per_sample;
      run_ns.push_back(timer_.Sample(*racer.loaded, runs, racer.estimate_ns));
      total_ns += runs * run_ns.back();
      racer.estimate_ns = *std::min_element(run_ns.begin(), run_ns.end());
    };
    sample();
    // One slow sample may be a cold cache or a moment without the core, unless the clock excludes
    // that; several in a millisecond are not.
    while (IsClearlySlower(racer.estimate_ns, BestNs()) &&
           !timer_.CountsCpuTime(racer.estimate_ns) && total_ns < kSlowTrialNs &&
           run_ns.size() < kSlowTrialSamples)
      sample();
    racer.raced_out = IsClearlySlower(racer.estimate_ns, BestNs());
    const int samples = racer.raced_out ? 0 : PlanFirstVisit(racer.estimate_ns, BestNs()).samples;
    while (static_cast<int>(run_ns.size()) < samples) sample();
  });
  const bool quiet = IsQuiet(visit, gflops_max_);
  racer.estimator.Add(std::move(visit), quiet);
  if (best_in_batch_ns_ <= 0 || racer.estimate_ns < best_in_batch_ns_)
    best_in_batch_ns_ = racer.estimate_ns;
}

void BatchRunner::RunSecondChance(Racer& racer) {
  if (!racer.raced_out) {
    if (!racer.estimator.has_quiet_visit() && TakeRetry()) RunVisit(racer);
    return;
  }
  if (!DeservesSecondChance(racer.estimate_ns, BestNs())) return;
  watch_.candidate.store(racer.index);
  const VisitPlan plan = {1, PlanFirstVisit(racer.estimate_ns, BestNs()).runs_per_sample};
  Visit visit = timer_.TimeVisit(*racer.loaded, plan, racer.estimate_ns);
  if (visit.run_ns.front() >= racer.estimate_ns) return;
  racer.estimate_ns = visit.run_ns.front();
  racer.raced_out = IsClearlySlower(racer.estimate_ns, BestNs());
  const bool quiet = IsQuiet(visit, gflops_max_);
  racer.estimator.Add(std::move(visit), quiet);
}

void BatchRunner::RunVisits(const std::vector<Racer*>& racers, int (*visits)(double), int gap_ms) {
  std::vector<int> left;
  for (const Racer* racer : racers) left.push_back(visits(racer->estimate_ns));
  for (bool forward = true;; forward = !forward) {
    const int64_t start_ns = MonotonicNanos();
    // Back and forth (A B C, C B A, ...): a drift of the clock then favours nobody.
    for (size_t n = 0; n < racers.size(); ++n) {
      const size_t i = forward ? n : racers.size() - 1 - n;
      if (left[i]-- > 0) RunVisit(*racers[i]);
    }
    for (size_t i = 0; i < racers.size(); ++i) {
      if (IsDecidedAmong(racers, i)) left[i] = 0;
    }
    if (std::all_of(left.begin(), left.end(), [](int more) { return more <= 0; })) return;
    SleepNanos(int64_t{gap_ms} * 1000000 - (MonotonicNanos() - start_ns));
  }
}

bool BatchRunner::IsDecidedAmong(const std::vector<Racer*>& racers, size_t index) {
  double rival_ns = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < racers.size(); ++i) {
    // Times with a neighbour on the core decide nothing.
    if (!racers[i]->estimator.has_quiet_visit()) return false;
    if (i != index) rival_ns = std::min(rival_ns, racers[i]->estimator.cost_ns());
  }
  const Estimator& estimator = racers[index]->estimator;
  return IsDecided(estimator.cost_ns(), rival_ns, estimator.visits());
}

void BatchRunner::RunVisit(Racer& racer) {
  watch_.candidate.store(racer.index);
  while (true) {
    const VisitPlan plan = PlanVisit(racer.estimate_ns);
    Visit visit = timer_.TimeVisit(*racer.loaded, plan, racer.estimate_ns);
    gflops_max_ = std::max({gflops_max_, visit.gflops_before, visit.gflops_after});
    const bool quiet = IsQuiet(visit, gflops_max_);
    racer.estimate_ns = *std::min_element(visit.run_ns.begin(), visit.run_ns.end());
    racer.estimator.Add(std::move(visit), quiet);
    if (quiet || !TakeRetry()) return;
  }
}

bool BatchRunner::TakeRetry() {
  if (retries_left_ <= 0) return false;
  --retries_left_;
  // Whoever has the core now is more likely done after it got a moment.
  SleepNanos(kRetryGapNs);
  return true;
}

std::vector<BatchRunner::Racer*> BatchRunner::Survivors(
    const std::vector<std::unique_ptr<Racer>>& racers,
    std::vector<int> (*choose)(const std::vector<double>&, double)) {
  std::vector<double> costs_ns;
  for (const std::unique_ptr<Racer>& racer : racers)
    costs_ns.push_back(racer->raced_out ? std::numeric_limits<double>::infinity()
                                        : racer->estimator.cost_ns());
  std::vector<Racer*> survivors;
  for (int i : choose(costs_ns, options_.best_known_ns)) survivors.push_back(racers[i].get());
  return survivors;
}

void BatchRunner::CheckAgain(Racer& racer) {
  watch_.candidate.store(racer.index);
  racer.loaded->Describe(watch_);
  watch_.Beat();
  PoisonOutputs();
  racer.loaded->Run();
  if (const std::string overrun = racer.loaded->FirstOverrun(); !overrun.empty()) {
    Fail(racer.measurement, pb::INCORRECT, absl::StrCat("wrote outside of ", overrun));
    memory_spoiled_ = true;
    return;
  }
  const double max_error = racer.measurement.max_error();
  if (OutputsAreWrong(racer.measurement))
    racer.measurement.set_message(
        absl::StrCat("right at first, wrong when run again: ", racer.measurement.message()));
  racer.measurement.set_max_error(std::max(max_error, racer.measurement.max_error()));
}

double BatchRunner::BestNs() const {
  if (best_in_batch_ns_ <= 0) return options_.best_known_ns;
  return options_.best_known_ns <= 0 ? best_in_batch_ns_
                                     : std::min(best_in_batch_ns_, options_.best_known_ns);
}

void BatchRunner::Report(int index, const pb::Measurement& measurement) {
  pb::MeasureReply reply;
  reply.mutable_candidate()->set_index(index);
  *reply.mutable_candidate()->mutable_measurement() = measurement;
  reply.mutable_candidate()->mutable_measurement()->set_unix_ms(UnixMillis());
  report_(reply);
}

}  // namespace hone
