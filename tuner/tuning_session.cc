// One thread thinks; compilers answer into a queue, the farm is asked for results. A flight is a
// batch on its way: its candidates are compiled, then it is submitted, then its result is observed.
#include "tuner/tuning_session.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "compiler/compile.h"
#include "tuner/budget/budget.h"
#include "tuner/measure/expected_values.h"
#include "tuner/search/search.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr int kRecentTrials = 16;
constexpr int kReferencesMax = 4;  // schedules tried as the reference before a workload is given up

// Answers of the builders, from any thread. Outlives the session that asked, since a builder may
// answer late.
struct Mailbox {
  absl::Mutex mutex;
  std::vector<pb::BuildReply> replies ABSL_GUARDED_BY(mutex);

  void Put(pb::BuildReply reply) {
    absl::MutexLock lock(&mutex);
    replies.push_back(std::move(reply));
  }
  // Waits up to `timeout` for at least one.
  std::vector<pb::BuildReply> Take(absl::Duration timeout) {
    absl::MutexLock lock(&mutex);
    auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return !replies.empty(); };
    mutex.AwaitWithTimeout(absl::Condition(&some), timeout);
    return std::exchange(replies, {});
  }
};

// Whether a failure says something about the candidate, rather than about the farm.
bool IsCandidatesFault(pb::FailureKind kind) {
  return kind == pb::COMPILE_ERROR || kind == pb::CRASH || kind == pb::TIMEOUT ||
         kind == pb::INCORRECT || kind == pb::OUT_OF_MEMORY;
}

uint64_t SeedOf(const std::string& key, uint64_t seed, int round) {
  uint64_t hash = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(round);
  for (char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace

std::vector<TuningTask> TasksOf(const ModelPlan& plan) {
  std::vector<TuningTask> tasks;
  for (const PlanKernel& kernel : plan.kernels) {
    tasks.push_back({kernel.name, kernel.workload, kernel.layouts, 0, {}});
  }
  for (const PlanCall& call : plan.calls) ++tasks[call.kernel].calls;
  return tasks;
}

int64_t ConstantBytes(const Workload& workload) {
  Workload constants = workload;
  std::erase_if(constants.buffers,
                [](const Buffer& buffer) { return buffer.role != BufferRole::kConstant; });
  return ArgumentBytes(constants);
}

bool ConstantsAreCold(int64_t bytes, int64_t model_bytes, const Target& target) {
  return bytes * 4 >= target.l2_bytes && model_bytes > std::max(target.l2_bytes, target.l3_bytes);
}

class TuningSession::Impl {
 public:
  Impl(std::vector<TuningTask> tasks, const TuningOptions& options, CostModel& model,
       BuildCandidate build, Measurer& measurer, const RecordStore* history, const Clock& clock)
      : options_(options),
        model_(model),
        build_(std::move(build)),
        measurer_(measurer),
        history_(history),
        clock_(clock) {
    for (TuningTask& task : tasks) {
      Work work;
      work.task = std::move(task);
      WorkloadState state;
      state.name = work.task.name;
      state.calls = work.task.calls;
      state.flops = FlopCount(work.task.workload);
      state_.workloads.push_back(std::move(state));
      works_.push_back(std::move(work));
    }
  }

  Status Run(const std::function<bool()>& cancelled,
             const std::function<void(const TuningState&)>& observe) {
    start_ns_ = clock_.MonotonicNanos();
    observe_ = &observe;
    while (true) {
      if (cancelled()) {
        CancelAll();
        return Finish();
      }
      // Spaces are derived one by one, while the first batches are measured already.
      if (opened_ < works_.size()) HONE_RETURN_IF_ERROR(Open(static_cast<int>(opened_++)));
      HONE_RETURN_IF_ERROR(StartFlights());
      if (flights_.empty() && opened_ == works_.size()) break;
      HONE_RETURN_IF_ERROR(TakeBuilds());
      HONE_RETURN_IF_ERROR(TakeResults());
      Observe();
    }
    return Finish();
  }

  const TuningState& state() const { return state_; }

 private:
  struct Work {
    TuningTask task;
    bool cold_constants = false;
    std::optional<Search> search;
    std::optional<pb::Artifact> reference;
    std::string reference_schedule;
    int references_tried = 0;
    int flights = 0;
    std::set<std::string> finalists;  // schedules that were in a duel
    // Of the current input seed.
    uint64_t sample_seed = 0;
    ExpectedValues expected;
  };

  struct Flight {
    int work = 0;
    bool final = false;
    bool builds_reference = false;
    int builds_pending = 0;
    std::vector<Proposal> proposals;
    pb::Batch batch;
    std::string batch_id;  // once submitted
  };

  RecordKey KeyOf(const Work& work) const {
    return {work.task.workload.Key(), options_.target.ToString(),
            std::string(NumericsName(options_.numerics)), kCodegenEpoch};
  }

  // Makes the search and tells it what is known already.
  Status Open(int w) {
    Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    work.cold_constants = ConstantsAreCold(ConstantBytes(work.task.workload),
                                           options_.model_constant_bytes, options_.target);
    std::vector<Sketch> sketches = work.task.sketches;
    if (sketches.empty()) {
      HONE_ASSIGN_OR_RETURN(sketches, DeriveSketches(work.task.workload, work.task.layouts,
                                                     options_.target, options_.numerics));
    }
    work.search.emplace(work.task.workload, std::move(sketches), options_.target,
                        MachineProfile::For(options_.target),
                        SearchOptions{.seed = SeedOf(work.task.workload.Key(), options_.seed, 0)});
    work.search->MoveRoofline(MachineProfile::For(options_.target, state_.peak_gflops));
    state.roofline = work.search->roofline();
    if (work.search->pool_size() == 0) {
      state.phase = WorkloadState::Phase::kDone;
      state.reason = "no candidate is legal for it";
      return absl::OkStatus();
    }
    work.reference_schedule = work.search->ScheduleText(0);
    if (history_ == nullptr) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, history_->History(KeyOf(work)));
    const std::string layouts = BoundaryLayoutText(work.task.workload, work.task.layouts);
    for (const pb::Record& record : records) {
      if (record.layouts() != layouts) continue;
      const pb::Measurement& measurement = record.measurement();
      if (measurement.failure() == pb::OK) {
        // From another model, larger or smaller: its times are not comparable.
        if (measurement.cold_constants() != work.cold_constants) continue;
        work.search->ObserveSchedule(record.schedule(), measurement.cost_ns());
        Note(w, measurement, {.predicted_ns = record.predicted_ns(), .origin = record.origin()});
        if (record.schedule() == work.reference_schedule) {
          state.default_ns = measurement.cost_ns();
        }
        if (measurement.finalist()) work.finalists.insert(record.schedule());
        RaisePeak(measurement.peak_gflops());
      } else if (IsCandidatesFault(measurement.failure())) {
        work.search->ObserveSchedule(record.schedule(), std::nullopt);
        Note(w, measurement, {.predicted_ns = record.predicted_ns(), .origin = record.origin()});
      }
    }
    observations_ += work.search->trials();
    Describe(w);
    return absl::OkStatus();
  }

  // The peak is measured beside every candidate; a higher one moves the limit.
  void RaisePeak(double peak_gflops) {
    if (peak_gflops <= state_.peak_gflops) return;
    state_.peak_gflops = peak_gflops;
    const MachineProfile profile = MachineProfile::For(options_.target, peak_gflops);
    for (size_t w = 0; w < opened_; ++w) {
      if (!works_[w].search) continue;
      works_[w].search->MoveRoofline(profile);
      state_.workloads[w].roofline = works_[w].search->roofline();
    }
  }

  // Keeps what was measured for whoever reports, if the search has just taken it for a new trial.
  void Note(int w, const pb::Measurement& measurement, Trial trial) {
    std::vector<Trial>& trials = state_.workloads[w].trials;
    if (static_cast<int>(trials.size()) == works_[w].search->trials()) return;
    trial.failure = measurement.failure();
    if (trial.failure == pb::OK) trial.cost_ns = measurement.cost_ns();
    trials.push_back(std::move(trial));
  }

  void Describe(int w) {
    const Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    state.failures = work.search->failures();
    const std::vector<int> best = BestOf(work, 1);
    if (best.empty()) return;
    state.best_ns = work.search->CostNs(best[0]);
    state.best_schedule = work.search->ScheduleText(best[0]);
  }

  // As the database judges: those that were in a duel before the others, then the fastest.
  std::vector<int> BestOf(const Work& work, int count) const {
    std::vector<int> best = work.search->Best(work.search->trials());
    std::stable_partition(best.begin(), best.end(), [&](int candidate) {
      return work.finalists.count(work.search->ScheduleText(candidate)) > 0;
    });
    if (static_cast<int>(best.size()) > count) best.resize(count);
    return best;
  }

  double ElapsedSeconds() const {
    return static_cast<double>(clock_.MonotonicNanos() - start_ns_) / 1e9;
  }

  void Observe() {
    state_.elapsed_s = ElapsedSeconds();
    if (*observe_) (*observe_)(state_);
  }

  Status Finish() {
    state_.finished = true;
    Observe();
    return absl::OkStatus();
  }

  bool TimeIsUp() const {
    return options_.time_max_ms > 0 &&
           (clock_.MonotonicNanos() - start_ns_) / 1000000 >= options_.time_max_ms;
  }

  void CancelAll() {
    std::vector<std::string> ids;
    for (const auto& [id, flight] : flights_) {
      if (!flight.batch_id.empty()) ids.push_back(flight.batch_id);
    }
    // Everything measured is kept by the farm already; that the rest is dropped late harms nobody.
    if (!ids.empty()) measurer_.Cancel(ids).IgnoreError();
    flights_.clear();
  }

  // Why a workload's search is over, or "".
  std::string EndOf(const Work& work) const {
    if (TimeIsUp()) return "time is up";
    if (work.search->trials() >= options_.trials_max) return "trials spent";
    return work.search->StopReason();
  }

  Status StartFlights() {
    // Searches that are over go to their duel as soon as nothing of them is under way.
    for (size_t w = 0; w < works_.size(); ++w) {
      Work& work = works_[w];
      WorkloadState& state = state_.workloads[w];
      if (w >= opened_ || state.phase == WorkloadState::Phase::kDone || work.flights > 0) continue;
      const std::string end = EndOf(work);
      if (end.empty()) continue;
      if (state.reason.empty()) state.reason = end;
      if (state.phase != WorkloadState::Phase::kFinal && NeedsDuel(work)) {
        state.phase = WorkloadState::Phase::kFinal;
        StartDuel(static_cast<int>(w));
      } else {
        state.phase = WorkloadState::Phase::kDone;
      }
    }
    while (static_cast<int>(flights_.size()) < options_.batches_ahead) {
      std::vector<BudgetView> views;
      int open = 0;
      for (size_t w = 0; w < works_.size(); ++w) {
        open += state_.workloads[w].phase < WorkloadState::Phase::kFinal ? 1 : 0;
      }
      const int flights_each = std::max(1, options_.batches_ahead / std::max(1, open));
      for (size_t w = 0; w < works_.size(); ++w) {
        const Work& work = works_[w];
        const WorkloadState& state = state_.workloads[w];
        BudgetView view;
        view.available = w < opened_;
        if (!view.available) {
          views.push_back(view);
          continue;
        }
        view.available = state.phase < WorkloadState::Phase::kFinal && EndOf(work).empty() &&
                         work.flights < flights_each && Planned(work) < options_.trials_max &&
                         // Until the first results there is nothing to learn from.
                         (work.flights == 0 || work.search->trials() > 0);
        view.calls = state.calls;
        view.best_ns = state.best_ns;
        view.roofline_ns = state.roofline.ns;
        view.trials = Planned(work);
        const std::vector<double>& curve = work.search->curve();
        if (static_cast<int>(curve.size()) > kRecentTrials) {
          view.recent_trials = kRecentTrials;
          view.recent_gain_ns = curve[curve.size() - 1 - kRecentTrials] - curve.back();
        }
        views.push_back(view);
      }
      const std::optional<int> next = NextWorkload(views);
      if (!next) return absl::OkStatus();
      HONE_RETURN_IF_ERROR(StartBatch(*next));
    }
    return absl::OkStatus();
  }

  // Whether the best is not known to be it yet.
  bool NeedsDuel(const Work& work) const {
    // A measurement of an earlier batch that looks better by little may be luck.
    constexpr double kLuck = 0.98;
    const std::vector<int> best = work.search->Best(2);
    if (best.size() < 2) return false;
    if (work.finalists.empty()) return true;
    return work.search->best_ns() < kLuck * work.search->CostNs(BestOf(work, 1)[0]);
  }

  int InFlight(int w) const {
    int count = 0;
    for (const auto& [id, flight] : flights_) {
      if (flight.work == w) count += static_cast<int>(flight.proposals.size());
    }
    return count;
  }
  int Planned(const Work& work) const {
    return work.search->trials() + InFlight(static_cast<int>(&work - works_.data()));
  }

  // Learning costs as much as measuring a few candidates, so it waits for enough news.
  Status Learn() {
    if (observations_ < learnt_ + std::max(16, learnt_ / 6)) return absl::OkStatus();
    TrainingSet set;
    for (size_t w = 0; w < opened_; ++w) works_[w].search->AppendTraining(&set);
    learnt_ = observations_;
    return model_.Train(set);
  }

  Status StartBatch(int w) {
    HONE_RETURN_IF_ERROR(Learn());
    Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    const int count = std::min(BatchSize(Planned(work)), options_.trials_max - Planned(work));
    Flight flight;
    flight.work = w;
    flight.proposals = work.search->Propose(count, model_);
    if (flight.proposals.empty()) {
      state.phase = WorkloadState::Phase::kDone;
      state.reason = "all were tried";
      return absl::OkStatus();
    }
    state.phase = WorkloadState::Phase::kSearching;
    Launch(std::move(flight));
    return absl::OkStatus();
  }

  void StartDuel(int w) {
    Flight flight;
    flight.work = w;
    flight.final = true;
    std::vector<int> duellists = works_[w].search->Best(options_.finalists);
    // The default schedule is always one: where nothing beats it side by side, it is the best.
    if (std::find(duellists.begin(), duellists.end(), 0) == duellists.end()) duellists.push_back(0);
    for (int c : duellists) flight.proposals.push_back({c, "final"});
    Launch(std::move(flight));
  }

  // Asks for the flight's compilations.
  void Launch(Flight flight) {
    Work& work = works_[flight.work];
    ++work.flights;
    const int id = ++last_flight_;
    flight.builds_reference = !work.reference;
    flight.builds_pending =
        static_cast<int>(flight.proposals.size()) + (flight.builds_reference ? 1 : 0);
    std::vector<std::string> schedules;
    for (const Proposal& proposal : flight.proposals) {
      pb::Candidate* candidate = flight.batch.add_candidates();
      candidate->set_schedule(work.search->ScheduleText(proposal.candidate));
      candidate->set_origin(proposal.origin);
      candidate->set_predicted_ns(work.search->PredictedNs(proposal.candidate));
      schedules.push_back(candidate->schedule());
    }
    if (flight.builds_reference) schedules.push_back(work.reference_schedule);
    const std::string workload = work.task.workload.ToString();
    flights_.emplace(id, std::move(flight));
    for (size_t i = 0; i < schedules.size(); ++i) {
      pb::BuildRequest request;
      request.set_id(static_cast<uint64_t>(id) << 16 | i);
      request.set_workload(workload);
      request.set_schedule(schedules[i]);
      request.set_target(options_.target.ToString());
      request.mutable_options()->set_numerics(std::string(NumericsName(options_.numerics)));
      build_(std::move(request),
             [mailbox = mailbox_](pb::BuildReply reply) { mailbox->Put(std::move(reply)); });
    }
  }

  // How long to wait for news: not at all while there are spaces to derive.
  absl::Duration Patience(int64_t idle_ms) const {
    return opened_ < works_.size() ? absl::ZeroDuration() : absl::Milliseconds(idle_ms);
  }

  Status TakeBuilds() {
    bool building = false;
    bool measuring = false;
    for (const auto& [id, flight] : flights_) {
      (flight.batch_id.empty() ? building : measuring) = true;
    }
    if (!building) return absl::OkStatus();
    for (pb::BuildReply& reply : mailbox_->Take(Patience(measuring ? 5 : 50))) {
      const int id = static_cast<int>(reply.id() >> 16);
      const int index = static_cast<int>(reply.id() & 0xffff);
      auto it = flights_.find(id);
      if (it == flights_.end()) continue;
      Flight& flight = it->second;
      Work& work = works_[flight.work];
      if (index < flight.batch.candidates_size()) {
        pb::Candidate* candidate = flight.batch.mutable_candidates(index);
        if (reply.has_artifact()) {
          *candidate->mutable_artifact() = std::move(*reply.mutable_artifact());
        } else {
          *candidate->mutable_measurement() = reply.failure();
        }
      } else if (reply.has_artifact()) {
        if (!work.reference) work.reference = std::move(*reply.mutable_artifact());
      } else {
        state_.workloads[flight.work].reason = reply.failure().message();
      }
      if (--flight.builds_pending == 0) HONE_RETURN_IF_ERROR(SubmitFlight(id));
    }
    return absl::OkStatus();
  }

  Status SubmitFlight(int id) {
    Flight& flight = flights_[id];
    Work& work = works_[flight.work];
    if (!work.reference) {
      // The default does not compile: whatever does stands in for it.
      for (const pb::Candidate& candidate : flight.batch.candidates()) {
        if (!candidate.has_artifact()) continue;
        work.reference = candidate.artifact();
        work.reference_schedule = candidate.schedule();
        break;
      }
    }
    if (!work.reference) {
      for (int i = 0; i < flight.batch.candidates_size(); ++i) {
        const Proposal& proposal = flight.proposals[i];
        work.search->Observe(proposal.candidate, std::nullopt);
        Note(flight.work, flight.batch.candidates(i).measurement(),
             {.predicted_ns = work.search->PredictedNs(proposal.candidate),
              .origin = proposal.origin,
              .seconds = ElapsedSeconds()});
      }
      return Land(id, /*reference_failed=*/true);
    }
    const uint64_t seed = SeedOf(work.task.workload.Key(), options_.seed, flight.final ? 2 : 1) | 1;
    if (work.sample_seed != seed) {
      HONE_ASSIGN_OR_RETURN(
          work.expected,
          ComputeExpectedValues(work.task.workload, work.reference->manifest(), options_.numerics,
                                seed, SamplePointsOf(work.task.workload)));
      work.sample_seed = seed;
    }
    pb::Batch& batch = flight.batch;
    batch.set_workload(work.task.workload.ToString());
    batch.set_target(options_.target.ToString());
    batch.set_numerics(std::string(NumericsName(options_.numerics)));
    batch.mutable_reference()->set_schedule(work.reference_schedule);
    batch.mutable_reference()->set_origin("default");
    *batch.mutable_reference()->mutable_artifact() = *work.reference;
    batch.set_input_seed(seed);
    for (const pb::SamplePoint& sample : work.expected.samples) *batch.add_samples() = sample;
    batch.set_sequential_rms_error(work.expected.sequential_rms_error);
    batch.set_rms_error_max(work.expected.rms_error_max);
    *batch.mutable_tolerance() = ToleranceOf(work.task.workload, options_.numerics);
    batch.set_best_ns(work.search->best_ns());
    batch.set_timeout_ms(std::clamp<int64_t>(
        static_cast<int64_t>(state_.workloads[flight.work].roofline.ns / 1e6 * 300), 1000, 30000));
    batch.set_final(flight.final);
    batch.set_cold_constants(work.cold_constants);
    batch.set_device(options_.device);
    batch.set_client(options_.client);
    batch.set_tool_version(options_.tool_version);
    batch.set_search_seed(options_.seed);
    batch.set_codegen_epoch(kCodegenEpoch);
    batch.set_layouts(BoundaryLayoutText(work.task.workload, work.task.layouts));
    HONE_ASSIGN_OR_RETURN(flight.batch_id, measurer_.Submit(batch));
    return absl::OkStatus();
  }

  Status TakeResults() {
    bool building = false;
    bool measuring = false;
    for (const auto& [id, flight] : flights_) {
      (flight.batch_id.empty() ? building : measuring) = true;
    }
    if (!measuring) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<pb::BatchResult> results,
                          measurer_.Wait(Patience(building ? 5 : 100)));
    for (const pb::BatchResult& result : results) {
      for (auto& [id, flight] : flights_) {
        if (flight.batch_id.empty() || flight.batch_id != result.batch_id()) continue;
        HONE_RETURN_IF_ERROR(TakeResult(id, result));
        break;
      }
    }
    return absl::OkStatus();
  }

  Status TakeResult(int id, const pb::BatchResult& result) {
    Flight& flight = flights_[id];
    const int w = flight.work;
    Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    bool reference_failed = !result.error().empty();
    if (reference_failed) state.reason = result.error();
    if (IsCandidatesFault(result.reference().failure())) {
      reference_failed = true;
      state.reason = absl::StrCat("the reference fails: ", result.reference().message());
    } else if (flight.final && result.reference().cost_ns() > 0) {
      // What tuning gained is told from times taken side by side.
      state.default_ns = result.reference().cost_ns();
    } else if (result.reference().cost_ns() > 0) {
      state.default_ns = state.default_ns == 0
                             ? result.reference().cost_ns()
                             : std::min(state.default_ns, result.reference().cost_ns());
    }
    const int count =
        std::min<int>(result.measurements_size(), static_cast<int>(flight.proposals.size()));
    for (int i = 0; i < count; ++i) {
      const pb::Measurement& measurement = result.measurements(i);
      RaisePeak(measurement.peak_gflops());
      const int candidate = flight.proposals[i].candidate;
      if (measurement.failure() == pb::OK) {
        work.search->Observe(candidate, measurement.cost_ns());
        if (measurement.finalist()) work.finalists.insert(work.search->ScheduleText(candidate));
        if (flight.final && work.search->ScheduleText(candidate) == work.reference_schedule) {
          state.default_ns = std::min(state.default_ns, measurement.cost_ns());
        }
      } else if (IsCandidatesFault(measurement.failure())) {
        work.search->Observe(candidate, std::nullopt);
      } else {
        continue;
      }
      Note(w, measurement,
           {.predicted_ns = work.search->PredictedNs(candidate),
            .origin = flight.proposals[i].origin,
            .seconds = ElapsedSeconds()});
      if (flight.final) continue;
      ++state_.trials;
      if (measurement.not_quiet() && !measurement.raced_out()) ++state_.not_quiet;
    }
    observations_ += count;
    return Land(id, reference_failed);
  }

  // The flight is over.
  Status Land(int id, bool reference_failed) {
    const int w = flights_[id].work;
    Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    flights_.erase(id);
    --work.flights;
    Describe(w);
    if (!reference_failed) {
      if (state.phase == WorkloadState::Phase::kSearching) state.reason.clear();
      return absl::OkStatus();
    }
    // Another schedule is tried as the reference: the best known, or one the prior likes less.
    work.reference.reset();
    if (++work.references_tried >= kReferencesMax) {
      state.phase = WorkloadState::Phase::kDone;
      return absl::OkStatus();
    }
    const int64_t next = work.search->pool_size() - 1 - (work.references_tried - 1);
    work.reference_schedule =
        work.search->ScheduleText(static_cast<int>(std::max<int64_t>(0, next)));
    return absl::OkStatus();
  }

  const TuningOptions options_;
  CostModel& model_;
  const BuildCandidate build_;
  Measurer& measurer_;
  const RecordStore* history_;
  const Clock& clock_;
  std::vector<Work> works_;
  TuningState state_;
  size_t opened_ = 0;  // works whose search exists: the first so many
  std::map<int, Flight> flights_;
  int last_flight_ = 0;
  int observations_ = 0;  // over all workloads, earlier sessions included
  int learnt_ = 0;        // of them, when the model was trained last
  int64_t start_ns_ = 0;
  const std::function<void(const TuningState&)>* observe_ = nullptr;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
};

TuningSession::TuningSession(std::vector<TuningTask> tasks, const TuningOptions& options,
                             CostModel& model, BuildCandidate build, Measurer& measurer,
                             const RecordStore* history, const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(tasks), options, model, std::move(build), measurer,
                                   history, clock)) {}

TuningSession::~TuningSession() = default;

Status TuningSession::Run(const std::function<bool()>& cancelled,
                          const std::function<void(const TuningState&)>& observe) {
  return impl_->Run(cancelled, observe);
}

const TuningState& TuningSession::state() const { return impl_->state(); }

}  // namespace hone
