// One thread thinks; compilers answer into a mailbox, the farm is asked for results.
//
// Flights land in the order in which they started, and after each landing all are started that can
// be, before the next lands: what a search knows when it proposes does not depend on who was fast.
#include "tuner/tuning_session.h"

#include <algorithm>
#include <cstdint>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "compiler/compile.h"
#include "tuner/budget/budget.h"
#include "tuner/flight.h"
#include "tuner/flight_board.h"
#include "tuner/transfer/recorded_knowledge.h"
#include "tuner/work.h"

namespace hone {
namespace {

constexpr int kRecentTrials = 16;
constexpr int kLearnFrom = 8;  // measured candidates
constexpr absl::Duration kGlance = absl::Milliseconds(5);
// How much of the model's spread counts in favour of a candidate, but in the last batch. On
// recorded spaces anything from 0 to 1 serves as well.
constexpr double kCuriosity = 0.5;
// Flights of one workload at a time: each proposes without what the others will show.
constexpr int kFlightsOfOneMost = 3;
// Of a session's time, the most that is kept for duels; and what one takes, before one was seen.
constexpr double kShareOfDuels = 0.35;
constexpr double kDuelSecondsAtFirst = 0.3;
// How long a duel waits for quiet moments while others have not been searched to their end: there
// will be later ones. Three in four of such waits end within 60 ms.
constexpr int64_t kPatienceOfEarlyDuelsMs = 100;
// Flights that are a workload's first: these are deriving and compiling more than measuring, later
// ones the other way round. With some of both, no core waits for another.
constexpr int kFirstFlightsMost = 2;

}  // namespace

class TuningSession::Impl {
 public:
  Impl(std::vector<TuningTask> tasks, const TuningOptions& options, CostModel& model,
       BuildCandidate build, Measurer& measurer, const RecordStore* history, const Clock& clock)
      : options_(options),
        model_(model),
        history_(history),
        clock_(clock),
        board_(std::move(build), measurer) {
    state_.speed = options.speed;
    for (TuningTask& task : tasks) {
      works_.emplace_back(std::move(task), options_);
      state_.workloads.push_back(works_.back().FirstState());
    }
  }

  Status Run(const std::function<bool()>& cancelled,
             const std::function<void(const TuningState&)>& observe) {
    start_ns_ = clock_.MonotonicNanos();
    observe_ = &observe;
    HONE_RETURN_IF_ERROR(StartLearningFromRecords());
    while (true) {
      if (cancelled()) {
        board_.CancelAll();
        return Finish();
      }
      HONE_ASSIGN_OR_RETURN(const bool settled, StartFlights());
      if (settled) {
        if (board_.empty()) break;
        // Spaces are derived one by one, while the first batches are measured already.
        HONE_RETURN_IF_ERROR(PrepareAhead(absl::ZeroDuration()));
      }
      HONE_RETURN_IF_ERROR(TakeBuilds());
      HONE_RETURN_IF_ERROR(board_.TakeResults(Patience()));
      if (settled && board_.OldestArrived()) HONE_RETURN_IF_ERROR(LandOldest());
      Observe();
    }
    return Finish();
  }

  const TuningState& state() const { return state_; }

 private:
  // Reads what all earlier sessions recorded; the cost model learns from it on a thread beside.
  Status StartLearningFromRecords() {
    if (history_ == nullptr) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(knowledge_, RecordedKnowledge::Read(*history_, kCodegenEpoch));
    base_ = std::async(std::launch::async, [this] { return model_.TrainBase(knowledge_.Rows()); });
    return absl::OkStatus();
  }

  // What was recorded belongs to that thread until this has returned.
  Status EndLearningFromRecords() { return base_.valid() ? base_.get() : absl::OkStatus(); }

  // Has the next workload's space derived on a thread beside, and waits up to `patience` for it.
  Status PrepareAhead(absl::Duration patience) {
    if (prepared_ == works_.size()) return absl::OkStatus();
    if (!preparing_.valid()) {
      // Kernels that have all cores to themselves are not to be disturbed.
      if (board_.AnyMeasuring() && !options_.spare_core) return absl::OkStatus();
      preparing_ =
          std::async(std::launch::async, [work = &works_[prepared_]] { return work->Prepare(); });
    }
    if (preparing_.wait_for(absl::ToChronoMilliseconds(patience)) != std::future_status::ready) {
      return absl::OkStatus();
    }
    ++prepared_;
    return preparing_.get();
  }

  // How long answers may be waited for: not long while a space is being derived.
  absl::Duration Patience() const {
    return preparing_.valid() ? kGlance : absl::InfiniteDuration();
  }

  // Lets the next prepared workload take part, with what is known of it already.
  Status OpenNext() {
    Work& work = works_[opened_];
    WorkloadState& state = state_.workloads[opened_];
    ++opened_;
    work.Open(state_.speed, &state);
    if (state.phase == WorkloadState::Phase::kDone || history_ == nullptr) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, history_->History(work.key()));
    const std::string layouts = work.Layouts();
    for (const pb::Record& record : records) {
      if (record.layouts() != layouts || !record.measurement().taint().empty()) continue;
      RaiseSpeed(record.speed());
      RaisePeak(work.Recall(record, &state));
    }
    observations_ += work.search().trials();
    work.Describe(&state);
    return absl::OkStatus();
  }

  // The peak is measured beside every candidate; a higher one moves the limit.
  void RaisePeak(double peak_gflops) {
    pb::CoreSpeed seen;
    seen.set_peak_gflops(peak_gflops);
    RaiseSpeed(seen);
  }

  // The limit is made of the best of each that any session saw. Where it moves, who had reached it
  // may not have.
  void RaiseSpeed(const pb::CoreSpeed& seen) {
    if (!RaiseTo(seen, &state_.speed)) return;
    const MachineProfile profile = MachineProfile::For(options_.target, state_.speed);
    for (size_t w = 0; w < opened_; ++w) {
      works_[w].search().MoveRoofline(profile);
      state_.workloads[w].roofline = works_[w].search().roofline();
      if (state_.workloads[w].reason == kAtTheLimit) Reopen(static_cast<int>(w));
    }
  }

  // Lets a search go on that was over, if nothing speaks against it any more.
  void Reopen(int w) {
    WorkloadState& state = state_.workloads[w];
    if (state.phase != WorkloadState::Phase::kDone || !EndOf(works_[w]).empty()) return;
    state.phase = WorkloadState::Phase::kSearching;
    state.reason.clear();
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

  // Whether nothing more is to be tried: what is left of the time is for duels.
  bool TimeIsUp() const {
    if (options_.batches_max > 0 && batches_ >= options_.batches_max) return true;
    // Asked often, and of every workload: how many duels are left is counted near the end alone.
    const double left_s = SecondsLeft();
    return left_s <= kShareOfDuels * static_cast<double>(options_.time_max_ms) / 1e3 &&
           left_s <= DuelsLeft() * duel_s_;
  }

  double SecondsLeft() const {
    if (options_.time_max_ms == 0) return std::numeric_limits<double>::infinity();
    return static_cast<double>(options_.time_max_ms) / 1e3 - ElapsedSeconds();
  }

  int DuelsLeft() const {
    int duels = 0;
    for (size_t w = 0; w < opened_; ++w) {
      duels += state_.workloads[w].phase != WorkloadState::Phase::kDone && works_[w].NeedsDuel();
    }
    return duels;
  }

  // How long a duel may wait for quiet moments; 0: there is time.
  int64_t DuelPatienceMs() const {
    const int64_t early_ms = IsSearching() ? kPatienceOfEarlyDuelsMs : 0;
    if (options_.time_max_ms == 0) return early_ms;
    const double share_s = SecondsLeft() / std::max(1, DuelsLeft());
    // What a duel takes beside waiting is not known; half of its time is as good a guess as any.
    const int64_t share_ms = std::max<int64_t>(1, static_cast<int64_t>(share_s * 1e3 / 2));
    return early_ms > 0 ? std::min(early_ms, share_ms) : share_ms;
  }

  // Whether there will be other moments: something is left to be tried.
  bool IsSearching() const {
    if (opened_ < works_.size()) return true;
    for (int w = 0; w < static_cast<int>(opened_); ++w) {
      const bool is_duel = state_.workloads[w].phase == WorkloadState::Phase::kFinal;
      if (!is_duel && board_.FlightsOf(w) > 0) return true;
    }
    return false;
  }

  // Why a workload's search is over, or "".
  std::string EndOf(const Work& work) const {
    if (work.search().trials() >= options_.trials_max) return "trials spent";
    const std::string reason = work.search().StopReason();
    return reason.empty() && TimeIsUp() ? "time is up" : reason;
  }

  // Searches that are over go to their duel as soon as nothing of them is under way. One that was
  // put off waits until all else was tried (`all_started`: what can be tried now is under way).
  Status EndSearches(bool all_started) {
    for (int w = 0; w < static_cast<int>(opened_); ++w) {
      Work& work = works_[w];
      WorkloadState& state = state_.workloads[w];
      if (state.phase == WorkloadState::Phase::kDone || board_.FlightsOf(w) > 0) continue;
      const std::string end = EndOf(work);
      if (end.empty()) {
        // It was advised during its duel.
        state.phase = std::min(state.phase, WorkloadState::Phase::kSearching);
        continue;
      }
      if (state.reason.empty()) state.reason = end;
      if (state.phase != WorkloadState::Phase::kFinal && work.NeedsDuel()) {
        if (work.was_put_off() && (!all_started || IsSearching())) continue;
        state.phase = WorkloadState::Phase::kFinal;
        HONE_RETURN_IF_ERROR(StartDuel(w));
      } else {
        state.phase = WorkloadState::Phase::kDone;
        work.DropBuilt();
        AdviseOtherEpilogues(work, state);
      }
    }
    return absl::OkStatus();
  }

  // One search of a reduction serves all that differ in what stands around it; those that are over
  // go on for it.
  void AdviseOtherEpilogues(const Work& from, const WorkloadState& found) {
    if (found.best_ns == 0) return;
    for (int w = 0; w < static_cast<int>(opened_); ++w) {
      Work& to = works_[w];
      if (state_.workloads[w].best_ns == 0 || !DifferInEpilogue(from.outline(), to.outline())) {
        continue;
      }
      to.search().Advise({{found.best_schedule, "epilogue"}});
      Reopen(w);
    }
  }

  // What the budget asks of the workloads that are open.
  std::vector<BudgetView> Views() const {
    int searching = 0;
    for (const WorkloadState& state : state_.workloads) {
      searching += state.phase < WorkloadState::Phase::kFinal ? 1 : 0;
    }
    const int flights_each =
        std::max(1, std::min(options_.batches_ahead, kFlightsOfOneMost) / std::max(1, searching));
    std::vector<BudgetView> views;
    for (int w = 0; w < static_cast<int>(opened_); ++w) {
      const Work& work = works_[w];
      const WorkloadState& state = state_.workloads[w];
      const int flights = board_.FlightsOf(w);
      BudgetView view;
      view.available = state.phase < WorkloadState::Phase::kFinal && EndOf(work).empty() &&
                       flights < flights_each && Planned(w) < options_.trials_max &&
                       // No more unknown than known: one can only learn from results.
                       (flights == 0 || board_.CandidatesOf(w) < work.search().trials());
      view.calls = state.calls;
      view.best_ns = state.best_ns;
      view.roofline_ns = state.roofline.ns;
      view.trials = Planned(w);
      const std::vector<double>& curve = work.search().curve();
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
    HONE_RETURN_IF_ERROR(EndSearches(/*all_started=*/false));
    while (board_.size() < options_.batches_ahead) {
      const std::optional<int> next = NextWorkload(Views());
      // What was never tried comes first, in order.
      const bool opens = opened_ < works_.size() && !(next && Planned(*next) == 0);
      if (opens && !(next && FirstFlights() >= kFirstFlightsMost)) {
        if (prepared_ == opened_) {
          HONE_RETURN_IF_ERROR(PrepareAhead(kGlance));
          if (prepared_ == opened_) return false;
        }
        HONE_RETURN_IF_ERROR(OpenNext());
        HONE_RETURN_IF_ERROR(EndSearches(/*all_started=*/false));
        continue;
      }
      if (!next) break;
      HONE_RETURN_IF_ERROR(StartBatch(*next));
      HONE_RETURN_IF_ERROR(EndSearches(/*all_started=*/false));
    }
    // Time may have run out since.
    HONE_RETURN_IF_ERROR(EndSearches(/*all_started=*/true));
    return true;
  }

  // Trials of a workload, those under way included.
  int Planned(int w) const { return works_[w].search().trials() + board_.CandidatesOf(w); }

  // How many of the flights are of workloads of which nothing is known yet.
  int FirstFlights() const {
    int flights = 0;
    for (size_t w = 0; w < opened_; ++w) {
      if (works_[w].search().trials() == 0) flights += board_.FlightsOf(static_cast<int>(w));
    }
    return flights;
  }

  // Learning costs as much as measuring a few candidates, so it waits for enough news.
  Status Learn() {
    if (observations_ < learnt_ + std::max(kLearnFrom, learnt_ / 6)) return absl::OkStatus();
    TrainingSet set;
    for (size_t w = 0; w < opened_; ++w) works_[w].search().AppendTraining(&set);
    learnt_ = observations_;
    return model_.Train(set);
  }

  Status StartBatch(int w) {
    HONE_RETURN_IF_ERROR(EndLearningFromRecords());
    HONE_RETURN_IF_ERROR(Learn());
    Work& work = works_[w];
    const int planned = Planned(w);
    if (planned == 0) {
      work.search().Advise(
          knowledge_.AdviceFor(work.key(), work.text(), work.Layouts(), work.cold_constants()));
    }
    const int count = std::min(BatchSize(planned), options_.trials_max - planned);
    const bool last = planned + count >= options_.trials_max;
    std::vector<Proposal> proposals = work.search().Propose(count, model_, last ? 0 : kCuriosity);
    // The search says why when asked for its end.
    if (proposals.empty()) return absl::OkStatus();
    ++batches_;
    state_.workloads[w].phase = WorkloadState::Phase::kSearching;
    return Launch(FlightOf(++last_flight_, w, work, std::move(proposals), /*duel=*/false));
  }

  Status StartDuel(int w) {
    const Work& work = works_[w];
    return Launch(FlightOf(++last_flight_, w, work, work.Duellists(options_.finalists),
                           /*duel=*/true));
  }

  Status Launch(Flight flight) {
    std::vector<pb::BuildRequest> requests = BuildRequestsOf(flight, works_[flight.work], options_);
    const bool built = requests.empty();
    state_.builds += static_cast<int64_t>(requests.size());
    flight.started_s = ElapsedSeconds();
    Flight& started = board_.Start(std::move(flight), std::move(requests));
    return built ? Submit(started) : absl::OkStatus();
  }

  Status TakeBuilds() {
    for (const pb::BuildReply& reply : board_.TakeBuilds(Patience())) {
      Flight* flight = board_.Find(FlightIdOf(reply));
      if (flight == nullptr) continue;
      TakeBuild(reply, flight, &works_[flight->work], &state_.workloads[flight->work]);
      if (flight->builds_pending == 0) HONE_RETURN_IF_ERROR(Submit(*flight));
    }
    return absl::OkStatus();
  }

  // All that it needs is built.
  Status Submit(Flight& flight) {
    Work& work = works_[flight.work];
    if (!FindReference(&flight, &work)) return absl::OkStatus();
    HONE_RETURN_IF_ERROR(work.Expect(flight.duel));
    CompleteBatch(work, options_, state_.workloads[flight.work].roofline.ns, &flight);
    if (flight.duel) flight.batch.set_patience_ms(DuelPatienceMs());
    return board_.Submit(&flight);
  }

  Status LandOldest() {
    const Flight flight = board_.TakeOldest();
    Work& work = works_[flight.work];
    WorkloadState& state = state_.workloads[flight.work];
    const double now_s = ElapsedSeconds();
    if (flight.duel) duel_s_ += (now_s - std::max(flight.started_s, landed_s_) - duel_s_) / 4;
    landed_s_ = now_s;
    const Landing landing = Land(flight, now_s, &work, &state, /*may_put_off=*/SecondsLeft() > 0);
    RaisePeak(landing.peak_gflops);
    state_.trials += landing.trials;
    state_.not_quiet += landing.not_quiet;
    observations_ += landing.observations;
    work.Describe(&state);
    if (state.best_ns > 0) {
      HONE_RETURN_IF_ERROR(EndLearningFromRecords());
      knowledge_.Add(work.key(), work.text(), work.Layouts(), work.cold_constants(),
                     state.best_schedule, state.best_ns);
    }
    if (landing.reference_failed) {
      if (!work.ReplaceReference()) state.phase = WorkloadState::Phase::kDone;
    } else if (state.phase == WorkloadState::Phase::kSearching && !flight.duel) {
      state.reason.clear();
    }
    return absl::OkStatus();
  }

  const TuningOptions options_;
  CostModel& model_;
  const RecordStore* history_;
  const Clock& clock_;
  std::vector<Work> works_;
  TuningState state_;
  // The first so many works have a search, and of them the first so many take part.
  size_t prepared_ = 0;
  size_t opened_ = 0;
  int batches_ = 0;  // asked for, without duels
  RecordedKnowledge knowledge_;
  FlightBoard board_;
  int last_flight_ = 0;
  int observations_ = 0;  // over all workloads, earlier sessions included
  int learnt_ = 0;        // of them, when the model was trained last
  int64_t start_ns_ = 0;
  double landed_s_ = 0;                  // when the last flight did
  double duel_s_ = kDuelSecondsAtFirst;  // what one takes, by those so far
  const std::function<void(const TuningState&)>* observe_ = nullptr;
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
