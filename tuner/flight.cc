#include "tuner/flight.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "tuner/measure/expected_values.h"

namespace hone {
namespace {

// The id of a build tells its flight and which of the flight's builds it is.
constexpr int kBuildBits = 16;

size_t BuildOf(const pb::BuildReply& reply) { return reply.id() & ((1u << kBuildBits) - 1); }

void SetParams(const std::map<std::string, int64_t>& params, pb::Candidate* candidate) {
  candidate->mutable_params()->insert(params.begin(), params.end());
}

// The time of the default schedule, as far as the measured reference tells it.
void TakeDefaultTime(double reference_ns, bool duel, WorkloadState* state) {
  if (reference_ns <= 0) return;
  // What tuning gained is told from times taken side by side.
  const bool replaces = duel || state->default_ns == 0;
  state->default_ns = replaces ? reference_ns : std::min(state->default_ns, reference_ns);
}

// Whether no other measurement of the flight's is of the same candidate and better: duels have some
// in two forms.
bool IsBestOfItsCandidate(const Flight& flight, int place) {
  const auto& measurements = flight.result->measurements();
  const auto counts = [](const pb::Measurement& one) {
    return one.failure() == pb::OK && one.taint().empty();
  };
  const auto is_better = [&](const pb::Measurement& a, const pb::Measurement& b) {
    if (counts(a) != counts(b)) return counts(a);
    return counts(a) && a.cost_ns() < b.cost_ns();
  };
  for (int other = 0;
       other < std::min<int>(measurements.size(), static_cast<int>(flight.proposals.size()));
       ++other) {
    if (flight.proposals[other].candidate == flight.proposals[place].candidate &&
        is_better(measurements[other], measurements[place])) {
      return false;
    }
  }
  return true;
}

// Whether some of those that were measured had no matrix unit at its speed: then nothing is decided
// between them and others. The reference is one of them in a duel; what was measured of it apart is
// not recorded, and a replay has to decide alike.
bool IsHeldBack(const pb::BatchResult& result) {
  return std::any_of(result.measurements().begin(), result.measurements().end(),
                     [](const pb::Measurement& one) { return one.held_back(); });
}

// The search hears that nothing of the flight compiles.
void LandUnbuilt(const Flight& flight, double seconds, Work* work, WorkloadState* state) {
  Search& search = work->search();
  for (int i = 0; i < flight.batch.candidates_size(); ++i) {
    const Proposal& proposal = flight.proposals[i];
    search.Observe(proposal.candidate, std::nullopt);
    work->Note(flight.batch.candidates(i).measurement(),
               {.predicted_ns = search.PredictedNs(proposal.candidate),
                .expected_ns = search.ExpectedNs(proposal.candidate),
                .origin = proposal.origin,
                .seconds = seconds},
               state);
  }
}

}  // namespace

Flight FlightOf(int id, int work_index, const Work& work, std::vector<Proposal> proposals,
                bool duel) {
  Flight flight;
  flight.id = id;
  flight.work = work_index;
  flight.duel = duel;
  flight.proposals = std::move(proposals);
  std::map<std::string, size_t> known;  // builds by schedule
  const auto need = [&](const std::string& schedule, int place) {
    const auto [at, is_new] = known.emplace(schedule, flight.builds.size());
    if (is_new) flight.builds.push_back({schedule, {}});
    flight.builds[at->second].places.push_back(place);
  };
  for (const Proposal& proposal : flight.proposals) {
    const int place = flight.batch.candidates_size();
    pb::Candidate* candidate = flight.batch.add_candidates();
    const Search& search = work.search();
    candidate->set_schedule(search.ScheduleText(proposal.candidate));
    candidate->set_origin(proposal.origin);
    candidate->set_predicted_ns(search.PredictedNs(proposal.candidate));
    if (!proposal.closed) SetParams(search.ParamsOf(proposal.candidate), candidate);
    const std::string& text =
        proposal.closed ? candidate->schedule() : search.OpenText(proposal.candidate);
    if (const pb::Artifact* built = work.BuiltOf(text)) {
      *candidate->mutable_artifact() = *built;
    } else {
      need(text, place);
    }
  }
  if (!work.reference()) need(work.reference_build(), Flight::kReferencePlace);
  flight.builds_pending = static_cast<int>(flight.builds.size());
  return flight;
}

std::vector<pb::BuildRequest> BuildRequestsOf(const Flight& flight, const Work& work,
                                              const TuningOptions& options) {
  std::vector<pb::BuildRequest> requests;
  for (const Flight::Build& build : flight.builds) {
    pb::BuildRequest request;
    request.set_id(static_cast<uint64_t>(flight.id) << kBuildBits | requests.size());
    request.set_workload(work.text());
    request.set_schedule(build.schedule);
    request.set_target(options.target.ToString());
    request.mutable_options()->set_numerics(std::string(NumericsName(options.numerics)));
    requests.push_back(std::move(request));
  }
  return requests;
}

int FlightIdOf(const pb::BuildReply& reply) { return static_cast<int>(reply.id() >> kBuildBits); }

void TakeBuild(const pb::BuildReply& reply, Flight* flight, Work* work, WorkloadState* state) {
  const Flight::Build& build = flight->builds[BuildOf(reply)];
  for (int place : build.places) {
    if (place == Flight::kReferencePlace) {
      if (!reply.has_artifact()) {
        // In the duel, why the search ended is known already.
        if (state->phase < WorkloadState::Phase::kFinal) state->reason = reply.failure().message();
      } else if (!work->reference()) {
        work->SetReference(work->reference_candidate(), reply.artifact());
      }
      continue;
    }
    pb::Candidate* candidate = flight->batch.mutable_candidates(place);
    if (reply.has_artifact()) {
      *candidate->mutable_artifact() = reply.artifact();
      work->KeepBuilt(build.schedule, reply.artifact());
    } else {
      *candidate->mutable_measurement() = reply.failure();
    }
  }
  --flight->builds_pending;
}

bool FindReference(Flight* flight, Work* work) {
  for (size_t i = 0; i < flight->proposals.size() && !work->reference(); ++i) {
    const pb::Candidate& candidate = flight->batch.candidates(static_cast<int>(i));
    if (candidate.has_artifact()) {
      work->SetReference(flight->proposals[i].candidate, candidate.artifact());
    }
  }
  if (work->reference()) return true;
  flight->unbuildable = true;
  flight->result.emplace();
  return false;
}

void CompleteBatch(const Work& work, const TuningOptions& options, double roofline_ns,
                   Flight* flight) {
  pb::Batch& batch = flight->batch;
  batch.set_workload(work.text());
  batch.set_target(options.target.ToString());
  batch.set_numerics(std::string(NumericsName(options.numerics)));
  batch.mutable_reference()->set_schedule(work.reference_schedule());
  batch.mutable_reference()->set_origin("default");
  if (work.reference()->manifest().params_size() > 0) {
    SetParams(work.reference_params(), batch.mutable_reference());
  }
  *batch.mutable_reference()->mutable_artifact() = *work.reference();
  batch.set_input_seed(work.input_seed());
  for (const pb::SamplePoint& sample : work.expected().samples) *batch.add_samples() = sample;
  batch.set_sequential_rms_error(work.expected().sequential_rms_error);
  batch.set_rms_error_max(work.expected().rms_error_max);
  *batch.mutable_tolerance() = ToleranceOf(work.workload(), options.numerics);
  batch.set_best_ns(work.search().best_ns());
  batch.set_timeout_ms(
      std::clamp<int64_t>(static_cast<int64_t>(roofline_ns / 1e6 * 300), 1000, 30000));
  batch.set_final(flight->duel);
  batch.set_cold_constants(work.cold_constants());
  batch.set_selector(options.device);
  batch.set_priority(options.priority);
  batch.set_user(options.user);
  batch.set_client(options.client);
  batch.set_tool_version(options.tool_version);
  batch.set_search_seed(options.seed);
  batch.set_codegen_epoch(kCodegenEpoch);
  batch.set_layouts(work.Layouts());
  batch.set_run_id(options.run_id);
  batch.set_run_batch(flight->id);
  *batch.mutable_speed() = options.speed;
}

Landing Land(const Flight& flight, double seconds, Work* work, WorkloadState* state,
             bool may_put_off) {
  Landing landing;
  if (flight.unbuildable) {
    LandUnbuilt(flight, seconds, work, state);
    landing.reference_failed = true;
    return landing;
  }
  const pb::BatchResult& result = *flight.result;
  if (flight.duel && may_put_off && IsHeldBack(result) && work->PutOffDuel()) {
    state->phase = WorkloadState::Phase::kSearching;
    return landing;
  }
  if (!result.error().empty()) {
    landing.reference_failed = true;
    state->reason = result.error();
  }
  if (IsCandidatesFault(result.reference().failure())) {
    landing.reference_failed = true;
    state->reason = absl::StrCat("the reference fails: ", result.reference().message());
  } else {
    TakeDefaultTime(result.reference().cost_ns(), flight.duel, state);
  }
  landing.observations =
      std::min<int>(result.measurements_size(), static_cast<int>(flight.proposals.size()));
  for (int i = 0; i < landing.observations; ++i) {
    if (!IsBestOfItsCandidate(flight, i)) continue;
    const pb::Measurement& measurement = result.measurements(i);
    landing.peak_gflops = std::max(landing.peak_gflops, measurement.peak_gflops());
    if (measurement.failure() != pb::OK && !IsCandidatesFault(measurement.failure())) continue;
    // Times that do not count teach nothing; the device spent them all the same.
    if (!measurement.taint().empty()) {
      if (!flight.duel) ++landing.trials;
      continue;
    }
    const int candidate = flight.proposals[i].candidate;
    // A duel is repeated as a whole, if at all.
    if (!flight.duel && MayBeTheMoments(measurement) && work->search().PutOff(candidate)) continue;
    const Search& search = work->search();
    work->Observe(candidate, measurement);
    if (flight.duel && measurement.failure() == pb::OK &&
        search.ScheduleText(candidate) == work->reference_schedule()) {
      state->default_ns = std::min(state->default_ns, measurement.cost_ns());
    }
    work->Note(measurement,
               {.predicted_ns = search.PredictedNs(candidate),
                .expected_ns = search.ExpectedNs(candidate),
                .origin = flight.proposals[i].origin,
                .seconds = seconds},
               state);
    if (flight.duel) continue;
    ++landing.trials;
    if (measurement.not_quiet() && !measurement.raced_out()) ++landing.not_quiet;
  }
  return landing;
}

}  // namespace hone
