// One thread thinks; compilers answer into a queue, the farm is asked for results. A flight is a
// batch on its way: its candidates are compiled, then it is submitted, then its result is observed.
//
// Flights land in the order in which they started, and after each landing all are started that can
// be, before the next lands: what a search knows when it proposes does not depend on who was fast.
#include "tuner/tuning_session.h"

#include <algorithm>
#include <future>
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
#include "tuner/transfer/recorded_knowledge.h"

namespace hone {
namespace {

constexpr int kRecentTrials = 16;
constexpr int kReferencesMax = 4;  // schedules tried as the reference before a workload is given up
constexpr int kLearnFrom = 8;      // measured candidates
constexpr absl::Duration kGlance = absl::Milliseconds(5);
// How much of the model's spread counts in favour of a candidate, but in the last batch. On
// recorded spaces anything from 0 to 1 serves as well.
constexpr double kCuriosity = 0.5;
constexpr int kFewerInDuels = 4;  // sampled points
constexpr int kBaseRows = 2000;   // of earlier sessions, that the cost model starts from

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
    state_.speed = options.speed;
    for (TuningTask& task : tasks) {
      Work work;
      work.task = std::move(task);
      work.outline = OutlineOf(work.task.workload.ToString());
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
    HONE_RETURN_IF_ERROR(StartLearningFromRecords());
    while (true) {
      if (cancelled()) {
        CancelAll();
        return Finish();
      }
      HONE_ASSIGN_OR_RETURN(const bool settled, StartFlights());
      if (settled) {
        if (flights_.empty()) break;
        // Spaces are derived one by one, while the first batches are measured already.
        HONE_RETURN_IF_ERROR(PrepareAhead(absl::ZeroDuration()));
      }
      HONE_RETURN_IF_ERROR(TakeBuilds());
      HONE_RETURN_IF_ERROR(TakeResults());
      if (settled && OldestArrived()) HONE_RETURN_IF_ERROR(LandOldest());
      Observe();
    }
    return Finish();
  }

  const TuningState& state() const { return state_; }

 private:
  struct Work {
    TuningTask task;
    WorkloadOutline outline;
    bool cold_constants = false;
    std::optional<Search> search;
    std::optional<pb::Artifact> reference;
    std::string reference_schedule;
    int references_tried = 0;
    int flights = 0;
    std::set<std::string> finalists;            // schedules that were in a duel
    std::map<std::string, pb::Artifact> built;  // by schedule: duels need the best of them again
    // Of the current input seed.
    uint64_t sample_seed = 0;
    ExpectedValues expected;
  };

  static constexpr int kReferencePlace = -1;

  struct Flight {
    int work = 0;
    bool final = false;
    // What each build asked for is, among the batch's candidates; kReferencePlace: the reference.
    std::vector<std::vector<int>> builds;
    int builds_pending = 0;
    std::vector<Proposal> proposals;
    pb::Batch batch;
    std::string batch_id;                   // once submitted
    bool unbuildable = false;               // nothing of it compiled, the reference neither
    std::optional<pb::BatchResult> result;  // waits until older flights have landed
  };

  RecordKey KeyOf(const Work& work) const {
    return {work.task.workload.Key(), options_.target.ToString(),
            std::string(NumericsName(options_.numerics)), kCodegenEpoch};
  }

  // Reads what all earlier sessions recorded; the cost model learns from it on a thread beside.
  Status StartLearningFromRecords() {
    if (history_ == nullptr) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(knowledge_, RecordedKnowledge::Read(*history_, kCodegenEpoch));
    base_ = std::async(std::launch::async,
                       [this] { return model_.TrainBase(knowledge_.Rows(kBaseRows)); });
    return absl::OkStatus();
  }

  // What was recorded belongs to that thread until this has returned.
  Status EndLearningFromRecords() { return base_.valid() ? base_.get() : absl::OkStatus(); }

  // Has the next workload's space derived on a thread beside, and waits up to `patience` for it.
  Status PrepareAhead(absl::Duration patience) {
    if (prepared_ == works_.size()) return absl::OkStatus();
    if (!preparing_.valid()) {
      // Kernels that have all cores to themselves are not to be disturbed.
      const bool measuring = std::any_of(flights_.begin(), flights_.end(), [&](const auto& flight) {
        return IsMeasuring(flight.second);
      });
      if (measuring && !options_.spare_core) return absl::OkStatus();
      preparing_ = std::async(std::launch::async,
                              [this, work = &works_[prepared_]] { return Prepare(*work); });
    }
    if (preparing_.wait_for(absl::ToChronoMilliseconds(patience)) != std::future_status::ready) {
      return absl::OkStatus();
    }
    ++prepared_;
    return preparing_.get();
  }

  bool AreConstantsCold(const Work& work) const {
    return ConstantsAreCold(ConstantBytes(work.task.workload), options_.model_constant_bytes,
                            options_.target);
  }

  // Takes a while and changes nothing else.
  Status Prepare(Work& work) const {
    std::vector<Sketch> sketches = work.task.sketches;
    if (sketches.empty()) {
      HONE_ASSIGN_OR_RETURN(sketches, DeriveSketches(work.task.workload, work.task.layouts,
                                                     options_.target, options_.numerics));
    }
    SearchOptions search = options_.search;
    search.seed = SeedOf(work.task.workload.Key(), options_.seed, 0);
    search.cold_constants = AreConstantsCold(work);
    work.search.emplace(work.task.workload, std::move(sketches), options_.target,
                        MachineProfile::For(options_.target, options_.speed), search);
    return absl::OkStatus();
  }

  // Lets the next prepared workload take part, with what is known of it already.
  Status OpenNext() {
    const int w = static_cast<int>(opened_++);
    Work& work = works_[w];
    WorkloadState& state = state_.workloads[w];
    work.cold_constants = AreConstantsCold(work);
    work.search->MoveRoofline(MachineProfile::For(options_.target, state_.speed));
    state.roofline = work.search->roofline();
    if (work.search->pool_size() == 0) {
      state.phase = WorkloadState::Phase::kDone;
      state.reason = "no candidate is legal for it";
      return absl::OkStatus();
    }
    work.reference_schedule = work.search->ScheduleText(0);
    if (history_ == nullptr) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, history_->History(KeyOf(work)));
    const std::string layouts = LayoutsOf(work);
    for (const pb::Record& record : records) {
      if (record.layouts() != layouts) continue;
      RaiseSpeed(record.speed());
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

  std::string LayoutsOf(const Work& work) const {
    return BoundaryLayoutText(work.task.workload, work.task.layouts);
  }

  // The peak is measured beside every candidate; a higher one moves the limit.
  void RaisePeak(double peak_gflops) {
    pb::CoreSpeed seen;
    seen.set_peak_gflops(peak_gflops);
    RaiseSpeed(seen);
  }

  // Others on the machine only ever slow it down, so the limit is made of the best of each.
  void RaiseSpeed(const pb::CoreSpeed& seen) {
    pb::CoreSpeed& best = state_.speed;
    const pb::CoreSpeed before = best;
    best.set_peak_gflops(std::max(before.peak_gflops(), seen.peak_gflops()));
    best.set_l1_gbps(std::max(before.l1_gbps(), seen.l1_gbps()));
    best.set_l2_gbps(std::max(before.l2_gbps(), seen.l2_gbps()));
    best.set_l3_gbps(std::max(before.l3_gbps(), seen.l3_gbps()));
    best.set_memory_gbps(std::max(before.memory_gbps(), seen.memory_gbps()));
    best.set_stream_gbps(std::max(before.stream_gbps(), seen.stream_gbps()));
    const bool same = best.peak_gflops() == before.peak_gflops() &&
                      best.l1_gbps() == before.l1_gbps() && best.l2_gbps() == before.l2_gbps() &&
                      best.l3_gbps() == before.l3_gbps() &&
                      best.memory_gbps() == before.memory_gbps();
    if (same) return;
    const MachineProfile profile = MachineProfile::For(options_.target, best);
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
    if (options_.batches_max > 0 && batches_ >= options_.batches_max) return true;
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
    if (work.search->trials() >= options_.trials_max) return "trials spent";
    const std::string reason = work.search->StopReason();
    return reason.empty() && TimeIsUp() ? "time is up" : reason;
  }

  // Searches that are over go to their duel as soon as nothing of them is under way.
  Status EndSearches() {
    for (size_t w = 0; w < opened_; ++w) {
      Work& work = works_[w];
      WorkloadState& state = state_.workloads[w];
      if (state.phase == WorkloadState::Phase::kDone || work.flights > 0) continue;
      const std::string end = EndOf(work);
      if (end.empty()) {
        // It was advised during its duel.
        state.phase = std::min(state.phase, WorkloadState::Phase::kSearching);
        continue;
      }
      if (state.reason.empty()) state.reason = end;
      if (state.phase != WorkloadState::Phase::kFinal && NeedsDuel(work)) {
        state.phase = WorkloadState::Phase::kFinal;
        HONE_RETURN_IF_ERROR(StartDuel(static_cast<int>(w)));
      } else {
        state.phase = WorkloadState::Phase::kDone;
        work.built.clear();
        AdviseOtherEpilogues(work, state);
      }
    }
    return absl::OkStatus();
  }

  // One search of a reduction serves all that differ in what stands around it; those that are over
  // go on for it.
  void AdviseOtherEpilogues(const Work& from, const WorkloadState& found) {
    if (found.best_ns == 0) return;
    for (size_t w = 0; w < opened_; ++w) {
      Work& to = works_[w];
      WorkloadState& state = state_.workloads[w];
      if (state.best_ns == 0 || !DifferInEpilogue(from.outline, to.outline)) continue;
      to.search->Advise({{found.best_schedule, "epilogue"}});
      if (state.phase != WorkloadState::Phase::kDone || !EndOf(to).empty()) continue;
      state.phase = WorkloadState::Phase::kSearching;
      state.reason.clear();
    }
  }

  // What the budget asks of the workloads that are open.
  std::vector<BudgetView> Views() const {
    int searching = 0;
    for (const WorkloadState& state : state_.workloads) {
      searching += state.phase < WorkloadState::Phase::kFinal ? 1 : 0;
    }
    const int flights_each = std::max(1, options_.batches_ahead / std::max(1, searching));
    std::vector<BudgetView> views;
    for (size_t w = 0; w < opened_; ++w) {
      const Work& work = works_[w];
      const WorkloadState& state = state_.workloads[w];
      BudgetView view;
      view.available = state.phase < WorkloadState::Phase::kFinal && EndOf(work).empty() &&
                       work.flights < flights_each && Planned(work) < options_.trials_max &&
                       // No more unknown than known: one can only learn from results.
                       (work.flights == 0 || InFlight(static_cast<int>(w)) < work.search->trials());
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
    return views;
  }

  // Starts all that can be started now. False: that needs a space that is still being derived; it
  // has to be called again before anything lands.
  StatusOr<bool> StartFlights() {
    HONE_RETURN_IF_ERROR(EndSearches());
    while (static_cast<int>(flights_.size()) < options_.batches_ahead) {
      const std::optional<int> next = NextWorkload(Views());
      // What was never tried comes first, in order.
      if (opened_ < works_.size() && !(next && Planned(works_[*next]) == 0)) {
        if (prepared_ == opened_) {
          HONE_RETURN_IF_ERROR(PrepareAhead(kGlance));
          if (prepared_ == opened_) return false;
        }
        HONE_RETURN_IF_ERROR(OpenNext());
        HONE_RETURN_IF_ERROR(EndSearches());
        continue;
      }
      if (!next) break;
      HONE_RETURN_IF_ERROR(StartBatch(*next));
      HONE_RETURN_IF_ERROR(EndSearches());
    }
    // Time may have run out since.
    HONE_RETURN_IF_ERROR(EndSearches());
    return true;
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
    if (observations_ < learnt_ + std::max(kLearnFrom, learnt_ / 6)) return absl::OkStatus();
    TrainingSet set;
    for (size_t w = 0; w < opened_; ++w) works_[w].search->AppendTraining(&set);
    learnt_ = observations_;
    return model_.Train(set);
  }

  Status StartBatch(int w) {
    HONE_RETURN_IF_ERROR(EndLearningFromRecords());
    HONE_RETURN_IF_ERROR(Learn());
    Work& work = works_[w];
    if (Planned(work) == 0) {
      work.search->Advise(knowledge_.AdviceFor(KeyOf(work), work.task.workload.ToString(),
                                               LayoutsOf(work), work.cold_constants));
    }
    const int count = std::min(BatchSize(Planned(work)), options_.trials_max - Planned(work));
    const bool last = Planned(work) + count >= options_.trials_max;
    Flight flight;
    flight.work = w;
    flight.proposals = work.search->Propose(count, model_, last ? 0 : kCuriosity);
    // The search says why when asked for its end.
    if (flight.proposals.empty()) return absl::OkStatus();
    ++batches_;
    state_.workloads[w].phase = WorkloadState::Phase::kSearching;
    return Launch(std::move(flight));
  }

  Status StartDuel(int w) {
    Flight flight;
    flight.work = w;
    flight.final = true;
    std::vector<int> duellists = works_[w].search->Best(options_.finalists);
    // The default schedule is always one: where nothing beats it side by side, it is the best.
    if (std::find(duellists.begin(), duellists.end(), 0) == duellists.end()) duellists.push_back(0);
    for (int c : duellists) flight.proposals.push_back({c, kDuelOrigin});
    return Launch(std::move(flight));
  }

  // Asks for the flight's compilations.
  Status Launch(Flight flight) {
    Work& work = works_[flight.work];
    ++work.flights;
    const int id = ++last_flight_;
    std::vector<std::string> schedules;  // one a build
    std::map<std::string, size_t> known;
    const auto need = [&](const std::string& schedule, int place) {
      const auto [at, is_new] = known.emplace(schedule, schedules.size());
      if (is_new) {
        schedules.push_back(schedule);
        flight.builds.emplace_back();
      }
      flight.builds[at->second].push_back(place);
    };
    for (const Proposal& proposal : flight.proposals) {
      const int place = flight.batch.candidates_size();
      pb::Candidate* candidate = flight.batch.add_candidates();
      candidate->set_schedule(work.search->ScheduleText(proposal.candidate));
      candidate->set_origin(proposal.origin);
      candidate->set_predicted_ns(work.search->PredictedNs(proposal.candidate));
      const auto built = work.built.find(candidate->schedule());
      if (built == work.built.end()) {
        need(candidate->schedule(), place);
      } else {
        *candidate->mutable_artifact() = built->second;
      }
    }
    if (!work.reference) need(work.reference_schedule, kReferencePlace);
    flight.builds_pending = static_cast<int>(schedules.size());
    const std::string workload = work.task.workload.ToString();
    flights_.emplace(id, std::move(flight));
    if (schedules.empty()) return SubmitFlight(id);
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
    return absl::OkStatus();
  }

  bool OldestArrived() const { return !flights_.empty() && flights_.begin()->second.result; }

  // How long to wait for news: not long while something else may need an answer.
  absl::Duration Patience(int64_t idle_ms) const {
    if (OldestArrived()) return absl::ZeroDuration();
    return preparing_.valid() ? std::min(kGlance, absl::Milliseconds(idle_ms))
                              : absl::Milliseconds(idle_ms);
  }

  bool IsBuilding(const Flight& flight) const { return flight.batch_id.empty() && !flight.result; }
  bool IsMeasuring(const Flight& flight) const {
    return !flight.batch_id.empty() && !flight.result;
  }

  Status TakeBuilds() {
    bool building = false;
    bool measuring = false;
    for (const auto& [id, flight] : flights_) {
      building = building || IsBuilding(flight);
      measuring = measuring || IsMeasuring(flight);
    }
    if (!building) return absl::OkStatus();
    for (pb::BuildReply& reply : mailbox_->Take(Patience(measuring ? 5 : 50))) {
      const int id = static_cast<int>(reply.id() >> 16);
      const auto build = static_cast<size_t>(reply.id() & 0xffff);
      auto it = flights_.find(id);
      if (it == flights_.end()) continue;
      TakeBuild(it->second, it->second.builds[build], reply);
      Flight& flight = it->second;
      if (--flight.builds_pending == 0) HONE_RETURN_IF_ERROR(SubmitFlight(id));
    }
    return absl::OkStatus();
  }

  void TakeBuild(Flight& flight, const std::vector<int>& places, const pb::BuildReply& reply) {
    Work& work = works_[flight.work];
    WorkloadState& state = state_.workloads[flight.work];
    for (int place : places) {
      if (place == kReferencePlace) {
        if (!reply.has_artifact()) {
          // In the duel, why the search ended is known already.
          if (state.phase < WorkloadState::Phase::kFinal) state.reason = reply.failure().message();
        } else if (!work.reference) {
          work.reference = reply.artifact();
        }
        continue;
      }
      pb::Candidate* candidate = flight.batch.mutable_candidates(place);
      if (reply.has_artifact()) {
        *candidate->mutable_artifact() = reply.artifact();
        work.built[candidate->schedule()] = reply.artifact();
      } else {
        *candidate->mutable_measurement() = reply.failure();
      }
    }
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
      flight.unbuildable = true;
      flight.result.emplace();
      return absl::OkStatus();
    }
    const uint64_t seed = SeedOf(work.task.workload.Key(), options_.seed, flight.final ? 2 : 1) | 1;
    if (work.sample_seed != seed) {
      // That finalists are right was seen before; here it is seen on other inputs.
      const int points = SamplePointsOf(work.task.workload) / (flight.final ? kFewerInDuels : 1);
      HONE_ASSIGN_OR_RETURN(work.expected,
                            ComputeExpectedValues(work.task.workload, work.reference->manifest(),
                                                  options_.numerics, seed, points));
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
    batch.set_layouts(LayoutsOf(work));
    batch.set_run_id(options_.run_id);
    batch.set_run_batch(id);
    *batch.mutable_speed() = options_.speed;
    HONE_ASSIGN_OR_RETURN(flight.batch_id, measurer_.Submit(batch));
    return absl::OkStatus();
  }

  Status TakeResults() {
    bool building = false;
    bool measuring = false;
    for (const auto& [id, flight] : flights_) {
      building = building || IsBuilding(flight);
      measuring = measuring || IsMeasuring(flight);
    }
    if (!measuring) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<pb::BatchResult> results,
                          measurer_.Wait(Patience(building ? 5 : 100)));
    for (pb::BatchResult& result : results) {
      for (auto& [id, flight] : flights_) {
        if (!IsMeasuring(flight) || flight.batch_id != result.batch_id()) continue;
        flight.result = std::move(result);
        break;
      }
    }
    return absl::OkStatus();
  }

  // The search hears that nothing of the flight compiles.
  void ObserveUnbuildable(const Flight& flight) {
    Search& search = *works_[flight.work].search;
    for (int i = 0; i < flight.batch.candidates_size(); ++i) {
      const Proposal& proposal = flight.proposals[i];
      search.Observe(proposal.candidate, std::nullopt);
      Note(flight.work, flight.batch.candidates(i).measurement(),
           {.predicted_ns = search.PredictedNs(proposal.candidate),
            .expected_ns = search.ExpectedNs(proposal.candidate),
            .origin = proposal.origin,
            .seconds = ElapsedSeconds()});
    }
  }

  Status LandOldest() {
    const int id = flights_.begin()->first;
    Flight& flight = flights_.begin()->second;
    const pb::BatchResult& result = *flight.result;
    const int w = flight.work;
    if (flight.unbuildable) {
      ObserveUnbuildable(flight);
      return Land(id, /*reference_failed=*/true);
    }
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
            .expected_ns = work.search->ExpectedNs(candidate),
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
    if (state.best_ns > 0) {
      HONE_RETURN_IF_ERROR(EndLearningFromRecords());
      knowledge_.Add(KeyOf(work), work.task.workload.ToString(), LayoutsOf(work),
                     work.cold_constants, state.best_schedule, state.best_ns);
    }
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
  // The first so many works have a search, and of them the first so many take part.
  size_t prepared_ = 0;
  size_t opened_ = 0;
  int batches_ = 0;  // asked for, without duels
  RecordedKnowledge knowledge_;
  std::map<int, Flight> flights_;
  int last_flight_ = 0;
  int observations_ = 0;  // over all workloads, earlier sessions included
  int learnt_ = 0;        // of them, when the model was trained last
  int64_t start_ns_ = 0;
  const std::function<void(const TuningState&)>* observe_ = nullptr;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  // Last, since their threads use the others: the next space is derived,
  std::future<Status> preparing_;
  std::future<Status> base_;  // the cost model learns from records, of knowledge_
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
