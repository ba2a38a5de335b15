// Flight: a batch of a TuningSession on its way. Its candidates are compiled, then it is submitted,
// then it waits with its result until older flights have landed. The session starts and lands them,
// the FlightBoard keeps those that are under way; a flight asks nobody for anything itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/batch.pb.h"
#include "proto/worker.pb.h"
#include "tuner/search/search.h"
#include "tuner/tuning_state.h"
#include "tuner/tuning_task.h"
#include "tuner/work.h"

namespace hone {

struct Flight {
  // A compilation, and what it is for: places among the batch's candidates, or kReferencePlace.
  struct Build {
    std::string schedule;
    std::vector<int> places;
  };
  static constexpr int kReferencePlace = -1;

  int id = 0;         // the how-manieth of the session, from 1
  int work = 0;       // index among the session's
  bool duel = false;  // of the best, on fresh inputs
  std::vector<Proposal> proposals;
  std::vector<Build> builds;
  int builds_pending = 0;
  double started_s = 0;                   // since the session began
  pb::Batch batch;                        // one candidate a proposal, in order
  std::string batch_id;                   // once submitted
  bool unbuildable = false;               // nothing of it compiled, the reference neither
  std::optional<pb::BatchResult> result;  // once it has arrived

  bool IsBuilding() const { return batch_id.empty() && !result; }
  bool IsMeasuring() const { return !batch_id.empty() && !result; }
};

// A flight of these proposals, and what has to be compiled for it: what `work` has not built yet,
// each schedule once.
Flight FlightOf(int id, int work_index, const Work& work, std::vector<Proposal> proposals,
                bool duel);

// One a build, in order.
std::vector<pb::BuildRequest> BuildRequestsOf(const Flight& flight, const Work& work,
                                              const TuningOptions& options);
// Which flight a reply is for.
int FlightIdOf(const pb::BuildReply& reply);

// Puts what was built, or why it was not, where the flight and its work need it. `state` hears why
// the reference does not compile.
void TakeBuild(const pb::BuildReply& reply, Flight* flight, Work* work, WorkloadState* state);

// Once all is built: lets what did compile stand in for a reference that did not. False: nothing
// compiled, so that the flight has landed before it was submitted.
bool FindReference(Flight* flight, Work* work);

// Fills in all of the batch but its candidates. The work has its reference and its expected values;
// `roofline_ns` is the work's limit, of which the time allowed for one run is made.
void CompleteBatch(const Work& work, const TuningOptions& options, double roofline_ns,
                   Flight* flight);

// What the session learns from a flight that has landed, beside what its work does.
struct Landing {
  bool reference_failed = false;
  int observations = 0;    // measurements that came back
  int trials = 0;          // of them, those that say something of a candidate; none in a duel
  int not_quiet = 0;       // of the trials, those disturbed throughout
  double peak_gflops = 0;  // the highest measured beside; 0: none
};

// The work and its state learn what came of the flight. `seconds`: since the session began.
// `may_put_off`: there is time to repeat a duel.
Landing Land(const Flight& flight, double seconds, Work* work, WorkloadState* state,
             bool may_put_off = true);

}  // namespace hone
